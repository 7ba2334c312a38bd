"""A model that returns a constant: the cost of Batchord itself, compared with one SQL statement that writes as much."""

import time

from benchmarks.measure import Measurement, Row
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.workloads.predictions import CONSTANT, fill, in_turn

NAME = "no-op"
RECORDS = 1_000_000
_SQL = "INSERT … SELECT … ON CONFLICT"


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. Ratios are to the statement."""
    del peers  # only SQL itself comes near
    fill(stack, "texts", "body", (f"row {number}" for number in range(records)))
    stack.declare("rows", CONSTANT)
    pids = stack.start()
    stack.warm("rows", workers=stack.processes)

    def statement() -> Measurement:
        stack.sql("DROP TABLE IF EXISTS out_sql")
        stack.sql("CREATE TABLE out_sql (LIKE batchord_results.rows__predict INCLUDING ALL)")
        stack.sql("CHECKPOINT")
        started = time.perf_counter()
        stack.sql(
            """
            INSERT INTO out_sql (id, score, writer, input_digest)
            SELECT id, 1.0, 1, hashtextextended(body, 0) FROM texts ON CONFLICT DO NOTHING
            """
        )
        return Measurement(seconds=time.perf_counter() - started, peak_mb=0.0)

    systems = {_SQL: statement, "Batchord": lambda: stack.batchord("rows", pids)}
    return in_turn(NAME, records, systems, times=times, bare=_SQL)
