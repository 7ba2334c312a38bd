"""A model that returns a constant: the cost of Batchord itself, compared with what writes as much.

The bare system is one SQL statement. A row leaves the database and comes back with Batchord, so COPY out of the records
and COPY into the same table are measured, too: with one process, and with as many as Batchord has.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg

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
        _empty_table(stack)
        started = time.perf_counter()
        stack.sql(
            """
            INSERT INTO out_sql (id, score, writer, input_digest)
            SELECT id, 1.0, 1, hashtextextended(body, 0) FROM texts ON CONFLICT DO NOTHING
            """
        )
        return Measurement(seconds=time.perf_counter() - started, peak_mb=0.0)

    def copy(processes: int) -> Measurement:
        _empty_table(stack)
        started = time.perf_counter()
        edges = [1 + records * part // processes for part in range(processes + 1)]
        # Threads are enough: psycopg passes the rows on unread.
        with ThreadPoolExecutor(processes) as pool:
            list(pool.map(partial(_copy, stack.database_url), edges[:-1], edges[1:]))
        return Measurement(seconds=time.perf_counter() - started, peak_mb=0.0)

    systems = {
        _SQL: statement,
        "COPY out and in, one process": lambda: copy(1),
        f"COPY out and in, {stack.processes} processes": lambda: copy(stack.processes),
        "Batchord": lambda: stack.batchord("rows", pids),
    }
    return in_turn(NAME, records, systems, times=times, bare=_SQL)


def _empty_table(stack: Stack) -> None:
    stack.sql("DROP TABLE IF EXISTS out_sql")
    stack.sql("CREATE TABLE out_sql (LIKE batchord_results.rows__predict INCLUDING ALL)")
    stack.sql("GRANT ALL ON out_sql TO PUBLIC")
    stack.sql("CHECKPOINT")


def _copy(url: str, first: int, end: int) -> None:
    """Copies the rows from ``first`` to before ``end``, as a script does that has a model in between."""
    read = "COPY (SELECT id, 1.0, 1, hashtextextended(body, 0) FROM texts WHERE id >= {} AND id < {}) TO STDOUT"
    write = "COPY out_sql (id, score, writer, input_digest) FROM STDIN"
    with (
        psycopg.connect(url) as source,
        psycopg.connect(url) as target,
        source.cursor().copy(psycopg.sql.SQL(read).format(first, end)) as rows,
        target.cursor().copy(write) as written,
    ):
        for row in rows:
            written.write(row)
