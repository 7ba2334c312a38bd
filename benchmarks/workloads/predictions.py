"""The common part of the workloads with a model: tables, repetitions in turn, and a check for equal outputs."""

from collections.abc import Callable, Iterable, Mapping

import psycopg
from psycopg import sql
from rich.console import Console

from benchmarks.measure import BARE, Measurement, Row, rows
from benchmarks.stack import Stack

#: The greatest difference of equal scores: two libraries' paths through one model differ in the last digits.
_NEAR = 1e-3

#: A pipeline over the table ``texts`` whose model costs nothing.
CONSTANT = """
import pandas as pd
from batchord import Pipeline, SqlSource

def constant(frame):
    return pd.Series(1.0, index=frame.index)

rows = Pipeline(
    "rows",
    source=SqlSource("SELECT id, body, created_at FROM texts", key="id", arrival="created_at"),
    model=constant,
)
"""

_console = Console()


def fill(stack: Stack, table: str, column: str, values: Iterable[str]) -> int:
    """Creates a table of records with ``values`` in ``column``, a key, a time, and an index. Returns their number."""
    name, field = sql.Identifier(table), sql.Identifier(column)
    stack.sql(
        sql.SQL(
            "CREATE TABLE {name} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {field} text, "
            "created_at timestamptz NOT NULL DEFAULT now()); CREATE INDEX ON {name} (created_at, id)"
        ).format(name=name, field=field)
    )
    count = 0
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(name, field)
    with psycopg.connect(stack.database_url) as connection, connection.cursor().copy(into) as copy:
        for value in values:
            copy.write_row((value.replace("\x00", ""),))
            count += 1
    stack.sql(sql.SQL("VACUUM ANALYZE {}").format(name))
    return count


def output_table(stack: Stack, name: str) -> None:
    """Creates an empty table for the output of a system other than Batchord."""
    target = sql.Identifier(f"out_{name}")
    stack.sql(sql.SQL("DROP TABLE IF EXISTS {}").format(target))
    stack.sql(
        sql.SQL("CREATE TABLE {} (id bigint PRIMARY KEY, label text NOT NULL, score float8 NOT NULL)").format(target)
    )
    stack.sql("CHECKPOINT")


def in_turn(
    workload: str, records: int, systems: Mapping[str, Callable[[], Measurement]], *, times: int, bare: str = BARE
) -> list[Row]:
    """Measures all systems in turn, ``times`` times, so that a slow minute of the machine affects all of them."""
    taken: dict[str, list[Measurement]] = {name: [] for name in systems}
    for time in range(times):
        for name, run in systems.items():
            with _console.status(f"{workload}: {name}, {time + 1} of {times}"):
                taken[name].append(run())
    return rows(workload, records, taken, bare)


def require_equal(
    stack: Stack, *, records: int, outputs: Iterable[str], share: float = 1.0, near: float = _NEAR
) -> None:
    """Raises RuntimeError unless each system predicted every record once and like the bare loop.

    At least ``share`` of the records must have the bare loop's label, and a score that differs by less than ``near``.
    """
    least = int(records * share)
    ((predicted, same),) = stack.sql(
        """
        SELECT count(*), count(*) FILTER (WHERE b.label = p.label AND abs(b.score - p.score) < %s)
        FROM batchord.predictions AS p JOIN out_bare AS b ON b.id::text = p.record_key
        """,
        near,
    )
    counts_by_system = {"batchord": (predicted, same)}
    for name in outputs:
        statement = sql.SQL(
            "SELECT count(*), count(*) FILTER (WHERE b.label = p.label AND abs(b.score - p.score) < %s) "
            "FROM {} AS p JOIN out_bare AS b USING (id)"
        ).format(sql.Identifier(f"out_{name}"))
        (counts_by_system[name],) = stack.sql(statement, near)
    wrong = {name: counts for name, counts in counts_by_system.items() if counts[0] != records or counts[1] < least}
    if wrong:
        raise RuntimeError(f"Of {records} records these predicted and agreed with the bare loop on: {wrong}")
