"""A record of any size costs itself alone: it is rejected unread, and the others are read."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import psycopg
import pytest

from batchord.core.declared.source_reader import Fetched
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import SqlRecords, open_source

#: More than a text can have, less than a gigabyte: libpq gives up a result that it has no room for.
_HUGE = 350_000_000
_MOST = 1_000_000


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    """A database of this test alone."""
    yield empty_database_url
    dispose_engines()


def opened(url: str, sql: str, *, max_bytes: int = _MOST, **more: Any) -> SqlRecords:
    """A source over a query."""
    return open_source(SqlSource(sql, key="id", max_bytes=max_bytes, **more), default_url=url)


def read(source: SqlRecords, rows: int = 100) -> Fetched:
    """All records in one frame, and all rejections."""
    positions = [position for chunk in source.keys(after=None, chunk_rows=1000) for position in chunk]
    parts = list(source.rows(first=positions[0], last=positions[-1], chunk_rows=rows))
    return Fetched(pd.concat([part.frame for part in parts]), [each for part in parts for each in part.rejections])


@contextmanager
def room_for(megabytes: int) -> Iterator[None]:
    """Lets this process take so much more memory than it has, as a worker's process is limited."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (psutil.Process().memory_info().data + megabytes * 2**20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def test_a_huge_text_is_rejected_alone_and_never_sent(url: str) -> None:
    """The process has no room for it, and needs none."""
    sql = f"SELECT i AS id, i * 2 AS n, repeat('x', CASE i WHEN 3 THEN {_HUGE} ELSE i END) AS body "
    source = opened(url, sql + "FROM generate_series(1, 6) AS i")
    source.check()
    with room_for(megabytes=100):
        frame, rejections = read(source)

    assert frame["body"].tolist() == ["x" * i for i in (1, 2, 4, 5, 6)]
    assert frame["n"].tolist() == [2, 4, 8, 10, 12]
    ((key, reason, detail),) = [(each.key, each.reason, each.detail) for each in rejections]
    assert (key, reason) == (3, "too-large")
    assert "350,000,000 bytes, more than 1,000,000" in detail


_LARGE = {
    "text": "repeat('x', 1000001)",
    "varchar": "CAST(repeat('ä', 500001) AS varchar)",
    "char": "CAST(repeat('x', 1000001) AS char(1000001))",
    "bytea": "CAST(repeat('x', 1000001) AS bytea)",
    "json": """CAST('"' || repeat('x', 1000001) || '"' AS json)""",
    "jsonb": """CAST('["' || repeat('x', 1000001) || '"]' AS jsonb)""",
    "array": "array_fill(CAST(NULL AS text), ARRAY[250000])",
    "bits": "CAST(repeat('1', 1000001) AS varbit)",
    "composite": "ROW(1, repeat('x', 1000001))",
}


@pytest.mark.parametrize("kind", _LARGE)
def test_a_value_of_any_type_may_be_too_large(url: str, kind: str) -> None:
    """Also stored, where it is compressed; a small one beside it stays what it is."""
    query = f"SELECT i AS id, CASE i WHEN 2 THEN {_LARGE[kind]} END AS body FROM generate_series(1, 3) AS i"  # noqa: S608
    if kind != "composite":  # which cannot be a table's column
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE records AS {query}".encode())
        query = "SELECT * FROM records"
    frame, rejections = read(opened(url, query))
    assert [(each.key, each.reason) for each in rejections] == [(2, "too-large")]
    assert frame.index.tolist() == [1, 3]


def test_what_fits_exactly_is_read(url: str) -> None:
    """The limit is of all values of a record together, in bytes."""
    sql = "SELECT i AS id, repeat('ä', 250000) AS a, repeat('b', 499999 + i) AS b FROM generate_series(1, 2) AS i"
    frame, rejections = read(opened(url, sql))
    assert frame.index.tolist() == [1]
    assert [each.key for each in rejections] == [2]


def test_what_the_author_computes_is_computed_once(url: str) -> None:
    """To ask for the size costs no second call of a slow function."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE calls")
        connection.execute(
            "CREATE FUNCTION slow(i int) RETURNS text STABLE LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_notify('calls', i::text); RETURN repeat('x', i); END $$"
        )
        connection.execute("LISTEN calls")
        read(opened(url, "SELECT i AS id, slow(i) || clock_timestamp() AS body FROM generate_series(1, 5) AS i"))
        assert len(list(connection.notifies(timeout=0.1))) <= 5


def test_what_the_server_itself_cannot_hold_costs_its_record_alone(url: str) -> None:
    """A value of more than a gigabyte."""
    sql = "SELECT i AS id, repeat('x', CASE i WHEN 2 THEN 1100000000 ELSE i END) AS body "
    sql += "FROM generate_series(1, 3) AS i"
    frame, rejections = read(opened(url, sql))
    assert frame.index.tolist() == [1, 3]
    assert [(each.key, each.reason) for each in rejections] == [(2, "unreadable-value")]


def test_a_result_that_this_process_has_no_room_for_is_no_fault_of_the_query(url: str) -> None:
    """MemoryError, for the process may be full of other work; the connection goes, with what libpq took."""
    source = opened(url, f"SELECT 1 AS id, repeat('x', {_HUGE}) AS body", max_bytes=10**9)
    source.check()
    with room_for(megabytes=200), pytest.raises(MemoryError):
        read(source)
    with psycopg.connect(url, autocommit=True) as connection:
        pools = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'batchord-source'"
        reads = " AND datname = current_database() AND query LIKE '%repeat%'"
        assert connection.execute(pools + reads).fetchone() == (0,)


def test_other_databases_reject_it_once_it_is_read(tmp_path: Path) -> None:
    """With the same outcome."""
    file = tmp_path / "records.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, body, more)")
        rows = [(1, "x", b"y"), (2, "x" * 600_000, b"y" * 600_000), (3, None, 4.5)]
        connection.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
    source = opened(f"sqlite:///{file}", "SELECT * FROM records", settle=timedelta(0))
    frame, rejections = read(source)
    assert frame.index.tolist() == [1, 3]
    assert [(each.key, each.reason) for each in rejections] == [(2, "too-large")]


def test_a_row_of_the_same_key_is_no_record_of_its_own(url: str) -> None:
    """Nobody knows which of them is meant."""
    sql = "SELECT 1 AS id, repeat('x', n) AS body FROM unnest(ARRAY[5, 2000000]) AS n UNION ALL SELECT 2, 'y'"
    frame, rejections = read(opened(url, sql))
    assert frame.index.tolist() == [2]
    assert [each.key for each in rejections] == [1]


@pytest.mark.parametrize("given", [0, -1, 1.5, None, "1"])
def test_a_limit_is_a_number_of_bytes(given: Any) -> None:
    """Said when the file is loaded."""
    (problem,) = SqlSource("SELECT 1 AS id", key="id", max_bytes=given).problems()
    assert "max_bytes=" in problem


def test_the_limit_moves_no_frontier() -> None:
    """It says nothing about which records there are."""
    assert SqlSource("SELECT 1 AS id", key="id", max_bytes=7).digest == SqlSource("SELECT 1 AS id", key="id").digest
