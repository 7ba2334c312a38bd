"""A read of a source ends by its time, or when somebody ends it; no server keeps its reader for ever."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batchord.core.errors import TransientError
from batchord.database.patient import PatientConnection
from batchord.sources.sql import SqlSource
from batchord.sources.sql.bounds import Limits
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import SqlRecords, open_source
from tests.waiting import wait_until

HANGS = "SELECT 1 AS id FROM pg_sleep(600)"
SHOWN = "SELECT current_setting('statement_timeout') AS id, current_setting('lock_timeout') AS lock"
SHORT = timedelta(seconds=0.2)
BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'batchord-source' AND datname = current_database() AND state = 'active'
"""


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    """A database of this test alone."""
    yield empty_database_url
    dispose_engines()


@pytest.fixture
def session(url: str) -> Iterator[psycopg.Connection]:
    """Another program's session."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def opened(url: str, sql: str, *, limits: Limits | None = None, **more: Any) -> SqlRecords:
    """A source over a query."""
    return open_source(SqlSource(sql, key="id", settle=timedelta(0), **more), default_url=url, limits=limits)


def shown(source: SqlRecords) -> tuple[Any, ...]:
    """The limits that the server holds the source to."""
    ((statement,),) = [[position.key for position in chunk] for chunk in source.keys(after=None, chunk_rows=1)]
    return (statement,)


def test_a_query_that_hangs_ends_by_its_time(url: str) -> None:
    """By the settings', or by the source's own."""
    for source in (
        opened(url, HANGS, limits=Limits(statement=0.2)),
        opened(url, HANGS, statement_timeout=SHORT),
    ):
        started = time.monotonic()
        with pytest.raises(TransientError, match="statement timeout"):
            source.greatest_position()
        assert time.monotonic() - started < 10


def test_a_lock_is_not_waited_for_without_end(url: str, session: psycopg.Connection) -> None:
    """A migration of the application's holds the table."""
    session.execute("CREATE TABLE records (id bigint)")
    source = opened(url, "SELECT id FROM records", lock_timeout=SHORT)
    session.execute("BEGIN")
    session.execute("LOCK TABLE records")
    with pytest.raises(TransientError, match="lock timeout"):
        source.check()
    session.execute("COMMIT")
    assert source.check() == ("id",)


def test_a_shorter_limit_of_the_roles_stays(url: str, session: psycopg.Connection) -> None:
    """The settings only shorten; what the author of a source says holds."""
    assert shown(opened(url, SHOWN)) == ("5min",)
    session.execute("ALTER ROLE CURRENT_USER SET statement_timeout = '7s'")
    try:
        dispose_engines()
        assert shown(opened(url, SHOWN)) == ("7s",)
        assert shown(opened(url, SHOWN, statement_timeout=timedelta(seconds=9))) == ("9s",)
        session.execute("ALTER ROLE CURRENT_USER SET statement_timeout = '1h'")
        dispose_engines()
        assert shown(opened(url, SHOWN)) == ("5min",)
    finally:
        session.execute("ALTER ROLE CURRENT_USER RESET statement_timeout")


def test_a_read_is_ended_from_outside(url: str, session: psycopg.Connection) -> None:
    """Its server process stops working on the query."""
    source = opened(url, HANGS)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(source.greatest_position)
        wait_until(lambda: _value(session, BUSY) == 1, description="the source is read")

        def ended() -> bool:
            source.interrupt()  # again and again, as the heartbeat does: between two statements it ends nothing
            return reading.done()

        wait_until(ended, description="the read has ended", timeout=60)
        with pytest.raises(TransientError, match="user request"):
            reading.result()
    assert _value(session, BUSY) == 0
    source.interrupt()  # nothing is read: nothing happens


def test_a_server_that_stands_still_does_not_keep_its_reader(url: str) -> None:
    """Its kernel still answers keepalives; nothing else of it does."""
    with PatientConnection.connect(url, autocommit=True) as connection:
        assert isinstance(connection, PatientConnection)
        connection.patience = 0.5
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()[0]  # type: ignore[index]
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(psycopg.OperationalError, match=r"no answer within 0\.5 s"):
                connection.execute("SELECT 1")
            assert connection.closed
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_patient_connection_answers_as_any_other(url: str) -> None:
    """Within its time, with errors, and with results of many rows."""
    with PatientConnection.connect(url) as connection:
        connection.patience = 30  # type: ignore[attr-defined]
        assert connection.execute("SELECT count(*) FROM generate_series(1, 10000)").fetchone() == (10000,)
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        connection.rollback()
        with connection.cursor(name="many") as cursor:
            cursor.execute("SELECT * FROM generate_series(1, 1000)")
            assert len(cursor.fetchall()) == 1000


def test_sqlite_ends_by_its_time_and_from_outside(tmp_path: Path) -> None:
    """It has no limits of its own."""
    address = f"sqlite:///{tmp_path / 'records.sqlite'}"
    sqlite3.connect(tmp_path / "records.sqlite").close()
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT max(id) AS id FROM n"
    with pytest.raises(TransientError, match="interrupted"):
        opened(address, endless, statement_timeout=SHORT).greatest_position()
    source = opened(address, endless)
    stopped = threading.Event()

    def interrupting() -> None:
        while not stopped.wait(0.05):
            source.interrupt()

    interrupter = threading.Thread(target=interrupting)
    interrupter.start()
    try:
        with pytest.raises(TransientError, match="interrupted"):
            source.greatest_position()
    finally:
        stopped.set()
        interrupter.join()
        dispose_engines()


def _value(session: psycopg.Connection, query: str) -> Any:
    row = session.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
