"""A source in MariaDB: its limits, its refusals, values that Python cannot hold, and a run over it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest

from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.records import Position
from batchord.sources.sql import SqlSource
from batchord.sources.sql.bounds import Limits
from batchord.sources.sql.reader import SqlRecords, open_source
from tests.integration.flow_parts import Bench

_SLOW = "SELECT id, sleep(60) AS body FROM records"
_FIRST, _LAST = Position(arrival=None, key=1), Position(arrival=None, key=3)


@pytest.fixture(autouse=True)
def _records(owner: "pymysql.Connection[Any]") -> None:
    with owner.cursor() as cursor:
        cursor.execute("CREATE TABLE records (id bigint AUTO_INCREMENT PRIMARY KEY, body text)")
        cursor.execute("INSERT INTO records (body) VALUES ('a'), ('bb'), ('ccc')")


def _open(sql: str, url: str, **limits: float) -> SqlRecords:
    declared = SqlSource(sql, key="id", settle=timedelta(0), url=url)
    return open_source(declared, default_url="postgresql://nobody@127.0.0.1:9/x", limits=Limits(**limits))


def _read(source: SqlRecords) -> list[Any]:
    return list(source.rows(first=_FIRST, last=_LAST, chunk_rows=100))


def test_a_statement_has_a_limit(url: str) -> None:
    """Reaching it is not the query's fault: a later attempt may be faster."""
    with pytest.raises(TransientError, match="max_statement_time"):
        _read(_open(_SLOW, url, statement=0.5))


def test_a_lock_is_not_waited_for_without_end(url: str, owner: "pymysql.Connection[Any]") -> None:
    """As above."""
    with owner.cursor() as cursor:
        cursor.execute("LOCK TABLES records WRITE")
        with pytest.raises(TransientError, match="Lock wait timeout"):
            _open("SELECT id, body FROM records", url, lock=1).greatest_position()
        cursor.execute("UNLOCK TABLES")


def test_what_is_read_can_be_ended(url: str) -> None:
    """By another thread, as `batchord cancel` asks for."""
    source = _open(_SLOW, url)
    source.check()
    interrupt = threading.Timer(0.5, source.interrupt)
    interrupt.start()
    with pytest.raises(TransientError, match="interrupted"):
        _read(source)
    interrupt.join()


@pytest.mark.parametrize(
    ("right", "wrong", "advice"),
    [("pw-of-guest", "pw-of-nobody", "user and the password"), ("/test_", "/nowhere_", "user and the password")],
)
def test_a_refusal_is_one_line_that_says_what_to_do(url: str, right: str, wrong: str, advice: str) -> None:
    """And keeps the password for itself."""
    with pytest.raises(ConfigurationError, match=advice) as raised:
        _open("SELECT id FROM records", url.replace(right, wrong)).greatest_position()
    assert "\n" not in str(raised.value)
    assert "pw-of" not in str(raised.value)


def test_values_that_python_cannot_hold_cost_no_other_record(url: str, owner: "pymysql.Connection[Any]") -> None:
    """Dates of zeros, times of more than a day, whole numbers beyond 2**53."""
    with owner.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute("ALTER TABLE records ADD day date, ADD at datetime, ADD span time, ADD big bigint unsigned")
        cursor.execute("UPDATE records SET day = '0000-00-00', at = '0000-00-00 00:00:00' WHERE id = 1")
        cursor.execute("UPDATE records SET span = '100:00:00' WHERE id = 2")
        cursor.execute("UPDATE records SET big = 18446744073709551615 WHERE id = 3")
    (fetched,) = _read(_open("SELECT * FROM records", url))
    assert fetched.frame.index.tolist() == [1, 2]
    assert [(each.key, each.reason) for each in fetched.rejections] == [(3, "unfitting-value")]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id, body FROM `records` # all of them\n;",
        "SELECT id, body FROM records WHERE body <> 'a;b\\'c' -- no end\n",
        'SELECT id, body FROM records WHERE body <> ":no_parameter"',
    ],
)
def test_its_own_ways_of_quoting_are_understood(url: str, sql: str) -> None:
    """Comments, quotes and escapes of its own."""
    assert _open(sql, url).greatest_position() == _LAST


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A ledger in PostgreSQL."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def test_each_record_is_predicted_once(bench: Bench, url: str, owner: "pymysql.Connection[Any]") -> None:
    """What arrives between two runs is found by the second."""
    bench.declare(source=SqlSource("SELECT id, body FROM records", key="id", settle=timedelta(0), url=url))
    first = bench.run("items")
    with owner.cursor() as cursor:
        cursor.execute("INSERT INTO records (body) VALUES ('dddd')")
    second = bench.run("items")
    assert [first.state, second.state] == ["succeeded", "succeeded"]
    rows = bench.sql("SELECT record_key, run_id::text FROM batchord.predictions ORDER BY record_key")
    assert rows == [("1", first.id), ("2", first.id), ("3", first.id), ("4", second.id)]


def test_it_keeps_the_contract_of_sources(url: str) -> None:
    """The same tests as PostgreSQL and SQLite, in a process of their own: they take their databases when it starts."""
    contracts = ("tests/contracts/test_source_contract.py", "tests/contracts/test_query_contract.py")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", *contracts, "-k", "further"],
        env={**os.environ, "CONTRACT_SOURCE_URL": url},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "passed" in ended.stdout
