"""What grows with the data: the time and memory of planning pending rows, and of discovery beside many old rows."""

import sys

from batchord.flow.local import run_local
from batchord.wiring import parts
from benchmarks.measure import Measurement, Row, rows
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.workloads.predictions import CONSTANT

NAME = "growth"
#: Records of the largest table.
RECORDS = 10_000_000
_FRESH = 1_000


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. There are no ratios, since no other system does this work."""
    del peers
    stack.declare("rows", CONSTANT)
    stack.sql(
        "CREATE TABLE texts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, created_at timestamptz)"
    )
    stack.sql("CREATE INDEX ON texts (created_at, id)")
    results: list[Row] = []
    size = 10_000
    while size <= records:
        _fill(stack, size)
        stack.forget()
        results += rows(NAME, size, {f"{size:,} rows pending": [_plan(stack) for _ in range(times)]})
        _account(stack)
        stack.sql("INSERT INTO texts (body, created_at) SELECT 'fresh', now() FROM generate_series(1, %s)", _FRESH)
        results += rows(NAME, _FRESH, {f"{_FRESH:,} fresh beside {size:,} old": [_plan(stack) for _ in range(times)]})
        size *= 10
    return results


def _fill(stack: Stack, size: int) -> None:
    stack.sql("TRUNCATE texts RESTART IDENTITY")
    stack.sql(
        """
        INSERT INTO texts (body, created_at)
        SELECT 'row ' || n, now() - interval '1 day' + n * interval '1 microsecond' FROM generate_series(1, %s) AS n
        """,
        size,
    )
    stack.sql("VACUUM ANALYZE texts")


def _account(stack: Stack) -> None:
    """Gives all rows a prediction, and moves the frontier above them with two runs."""
    stack.sql("SELECT batchord.make_results('rows', 'predict', 'id', 'bigint')")
    stack.sql(
        """
        INSERT INTO batchord_results.rows__predict (id, score, writer, input_digest) SELECT id, 1.0, 0, 0 FROM texts
        """
    )
    stack.sql("VACUUM ANALYZE batchord_results.rows__predict")
    for _ in range(2):
        if run_local(parts(), pipeline="rows").predicted:
            raise RuntimeError("rows that are accounted for were predicted again")


def _plan(stack: Stack) -> Measurement:
    return stack.program(sys.executable, "-m", "benchmarks.systems.plan", pipeline="rows")
