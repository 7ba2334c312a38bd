"""What PostgreSQL tells of its clock and its open transactions, and which orders are refused."""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import Position
from batchord.ledger.connection import Connections
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import SqlRecords, open_source
from tests.server_settings import server_settings
from tests.waiting import wait_until

HOUR = timedelta(hours=1)


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    """A database of this test alone."""
    yield empty_database_url
    dispose_engines()


@pytest.fixture
def session(url: str) -> Iterator[psycopg.Connection]:
    """A session of the application, whose work is committed at once unless it begins a transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE records (id bigint PRIMARY KEY, body text)")
        yield connection


@pytest.fixture
def looker(url: str, session: psycopg.Connection) -> Iterator[str]:
    """The address for a role from which other roles' sessions are hidden."""
    session.execute("CREATE ROLE looker LOGIN PASSWORD 'p4ss'")
    yield sa.make_url(url).set(username="looker", password="p4ss").render_as_string(hide_password=False)  # noqa: S106
    session.execute("DROP ROLE looker")


def records(url: str, settle: timedelta | None = None) -> SqlRecords:
    """The records, ordered by their key."""
    return open_source(SqlSource("SELECT * FROM records", key="id", settle=settle), default_url=url)


def filled(session: psycopg.Connection, arrival: str, *values: str) -> SqlSource:
    """A source with an arrival column of that type, and a record for each value, with keys from 1 on."""
    session.execute(f"CREATE TABLE arrivals (id bigint, at {arrival})".encode())
    for key, value in enumerate(values, start=1):
        session.execute(f"INSERT INTO arrivals VALUES ({key}, {value})".encode())  # noqa: S608
    return SqlSource("SELECT * FROM arrivals", key="id", arrival="at")


def test_a_transaction_that_only_read_is_running(url: str, session: psycopg.Connection) -> None:
    """It may have taken its ``now()`` and may still write; after its end it is gone."""
    source = records(url)
    assert source.running_transactions() == frozenset()
    session.execute("BEGIN")
    session.execute("SELECT 1")
    (name,) = source.running_transactions()
    assert name.startswith("vx:")
    session.execute("COMMIT")
    assert source.running_transactions() == frozenset()


def test_a_prepared_transaction_is_running_under_another_name(url: str, session: psycopg.Connection) -> None:
    """It has no session any more, and stays until it is committed."""
    source = records(url)
    session.execute("BEGIN")
    session.execute("INSERT INTO records VALUES (1, 'text')")
    session.execute("PREPARE TRANSACTION 'half done'")
    (name,) = source.running_transactions()
    assert name.startswith("px:")
    session.execute("COMMIT PREPARED 'half done'")
    assert source.running_transactions() == frozenset()


@pytest.mark.parametrize("application", ["batchord-ledger", "batchord-source"])
def test_a_name_makes_no_transaction_ours(url: str, session: psycopg.Connection, application: str) -> None:
    """Anybody may carry a name; behind a pooler an application's transaction does."""
    session.execute("SELECT set_config('application_name', %s, false)", (application,))
    session.execute("BEGIN")
    session.execute("SELECT 1")
    assert len(records(url).running_transactions()) == 1


def test_a_read_of_ours_is_left_out(url: str, session: psycopg.Connection) -> None:
    """It writes nothing, in whatever process it runs, and may last."""
    session.execute("INSERT INTO records SELECT g, 'x' FROM generate_series(1, 100) AS g")
    reader = records(url)
    chunks = reader.keys(after=None, chunk_rows=10)
    assert len(next(chunks)) == 10
    assert records(url).running_transactions() == frozenset()


def test_of_the_ledgers_transactions_only_those_that_write_results_are_running(database_url: str) -> None:
    """A source may be a query over predictions; heartbeats and logs would otherwise hold it back all day."""
    connections, source = Connections(database_url), SqlSource("SELECT 1 AS id", key="id")
    try:
        with connections.transaction() as connection:
            connection.execute("SELECT 1")
            assert open_source(source, default_url=database_url).running_transactions() == frozenset()
        with connections.transaction(writes_results=True) as connection:
            connection.execute("SELECT 1")
            assert len(open_source(source, default_url=database_url).running_transactions()) == 1
    finally:
        connections.close()
        dispose_engines()


def test_a_role_that_sees_no_other_sessions_sees_their_transactions(
    url: str, looker: str, session: psycopg.Connection
) -> None:
    """Whose they are is hidden from it, so it tells ours by the lock, and waits for all others."""
    session.execute("INSERT INTO records SELECT g, 'x' FROM generate_series(1, 100) AS g")
    ours = records(url).keys(after=None, chunk_rows=10)
    next(ours)
    try:
        assert records(looker).running_transactions() == frozenset()
        session.execute("BEGIN")
        session.execute("SELECT 1")
        assert len(records(looker).running_transactions()) == 1
    finally:
        session.execute("COMMIT")


def test_transactions_of_other_databases_are_left_out(url: str, session: psycopg.Connection) -> None:
    """They cannot write the records."""
    elsewhere = f"{url.rpartition('/')[0]}/postgres"
    with psycopg.connect(elsewhere) as other:
        other.execute("SELECT 1")
        assert records(url).running_transactions() == frozenset()
    session.execute("SELECT 1")


def test_an_autovacuum_is_left_out(url: str, looker: str, session: psycopg.Connection) -> None:
    """Also where a role may not see what it is. It writes no record, and may take hours."""
    slowly = "autovacuum_vacuum_threshold = 1, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    session.execute(f"CREATE TABLE vacuumed WITH ({slowly}) AS SELECT generate_series(1, 50_000)".encode())
    session.execute("DELETE FROM vacuumed")
    at_work = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%VACUUM%vacuumed'"
    with server_settings(session, autovacuum_naptime="1s"):
        wait_until(lambda: session.execute(at_work).fetchone() is not None, description="an autovacuum", timeout=120)
        for role in (url, looker):
            assert records(role).running_transactions() == frozenset()
        assert session.execute(at_work).fetchone() is not None, "it was at work all the time"


@pytest.mark.parametrize("database", ["of the records", "another"])
def test_a_session_that_is_asked_for_its_password_is_left_out(
    url: str, session: psycopg.Connection, database: str
) -> None:
    """It is in a transaction that only starts it, for as long as its client thinks."""
    server = sa.make_url(url)
    name = server.database if database == "of the records" else "postgres"
    words = f"user\0{server.username}\0database\0{name}\0\0".encode()
    with socket.create_connection((server.host, server.port)) as client:
        client.sendall(struct.pack("!II", len(words) + 8, 3 << 16) + words)
        assert client.recv(1) == b"R", "the server asks for the password"
        starting = session.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'virtualxid' AND pid <> pg_backend_pid()"
        )
        assert starting.fetchone() == (1,)
        assert records(url).running_transactions() == frozenset()


def test_a_source_that_settles_waits_for_no_transaction(url: str, session: psycopg.Connection) -> None:
    """With ``settle=`` the author answers for how late a record may appear."""
    session.execute("BEGIN")
    session.execute("SELECT 1")
    assert records(url, HOUR).transactions is None


@pytest.mark.parametrize("arrival", ["timestamptz", "timestamp", "date"])
def test_a_record_from_the_future_does_not_take_the_frontier_with_it(
    url: str, session: psycopg.Connection, arrival: str
) -> None:
    """It is read like any other, and the frontier stays at the clock."""
    past, future = "now() - interval '3 days'", "now() + interval '3 days'"
    source = open_source(filled(session, arrival, past, future), default_url=url)
    greatest = source.greatest_position()
    assert greatest is not None
    assert greatest.key == 1
    (chunk,) = source.keys(after=greatest, chunk_rows=10)
    assert [position.key for position in chunk] == [2]
    session.execute("DELETE FROM arrivals WHERE id = 1")
    assert source.greatest_position() is None


def test_a_settling_instant_stays_behind_the_clock(url: str, session: psycopg.Connection) -> None:
    """With its zone known, an arrival older than ``settle=`` is settled as it is."""
    declared = filled(session, "timestamptz", "now() - interval '2 hours'", "now() - interval '30 minutes'")
    settling = SqlSource(declared.sql, key="id", arrival="at", settle=HOUR)
    source = open_source(settling, default_url=url)
    greatest = source.greatest_position()
    assert source.settles_by_clock
    assert greatest is not None
    assert greatest.key == 1
    assert not open_source(declared, default_url=url).settles_by_clock


@pytest.mark.parametrize("arrival", ["timestamp", "date"])
def test_a_time_whose_zone_is_unknown_does_not_settle_by_the_clock(
    url: str, session: psycopg.Connection, arrival: str
) -> None:
    """It may be hours from UTC, so it settles an hour after it was seen and not an hour after its own time."""
    declared = filled(session, arrival, "now() - interval '2 days'")
    source = open_source(SqlSource(declared.sql, key="id", arrival="at", settle=HOUR), default_url=url)
    assert not source.settles_by_clock
    assert source.greatest_position() is not None


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 AS id, 0.1::real AS at", "of type real"),
        ("SELECT 1 AS id, 2 AS at, 2 AS body, 3 AS body", "'body' more than once"),
        ("SELECT '{}'::json AS id, 2 AS at", "'id' is of type json, which has no order"),
    ],
)
def test_an_order_that_would_lose_records_is_refused(url: str, sql: str, message: str) -> None:
    """The message says what to write instead."""
    source = open_source(SqlSource(sql, key="id", arrival="at"), default_url=url)
    with pytest.raises(ConfigurationError, match=message):
        list(source.keys(after=None, chunk_rows=1))


@pytest.mark.parametrize("key", ["gen_random_uuid()", "'a'::text"])
def test_keys_that_do_not_rise_have_no_frontier(url: str, key: str) -> None:
    """The next one may be anywhere among them, so every run looks at all; an author who knows better says settle=."""
    sql = f"SELECT {key} AS id"
    assert open_source(SqlSource(sql, key="id"), default_url=url).greatest_position() is None
    assert open_source(SqlSource(sql, key="id", settle=HOUR), default_url=url).greatest_position() is not None


def test_other_databases_need_a_settling_time(tmp_path: Path) -> None:
    """They cannot show who is still writing."""
    declared = SqlSource("SELECT 1 AS id", key="id", url=f"sqlite:///{tmp_path / 'any.sqlite'}")
    with pytest.raises(ConfigurationError, match=r"on sqlite .* Give settle="):
        open_source(declared, default_url="")


def test_a_position_of_another_order_is_refused(url: str, session: psycopg.Connection) -> None:
    """A frontier from before ``arrival=`` was added would compare as NULL, with nothing."""
    source = open_source(filled(session, "timestamptz", "now()"), default_url=url)
    with pytest.raises(ConfigurationError, match="does not fit arrival='at'"):
        list(source.keys(after=Position(arrival=None, key=1), chunk_rows=10))


def test_reading_changes_nothing(url: str, session: psycopg.Connection) -> None:
    """A query that writes is refused by the database."""
    session.execute("CREATE SEQUENCE numbers")
    source = open_source(SqlSource("SELECT nextval('numbers') AS id", key="id"), default_url=url)
    with pytest.raises(ConfigurationError, match="read-only transaction"):
        source.greatest_position()
    with closing(session.execute("SELECT is_called FROM numbers")) as result:
        assert result.fetchone() == (False,)
