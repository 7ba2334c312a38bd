"""What a database's errors become, and that no password gets out with them."""

import gc
import multiprocessing
import sqlite3
from collections.abc import Generator, Iterator
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa

from batchord.core.errors import BatchordError, ConfigurationError, TransientError
from batchord.core.run.records import Position
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines, engine_for, source_url
from batchord.sources.sql.reader import SqlRecords, open_source


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    """A database with a table of 5,000 records."""
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "CREATE TABLE records AS SELECT i AS id, repeat('x', 500) AS body FROM generate_series(1, 5000) i"
        )
    yield empty_database_url
    dispose_engines()


def records(url: str, sql: str = "SELECT * FROM records", key: str = "id") -> SqlRecords:
    """A source over the table."""
    return open_source(SqlSource(sql, key=key), default_url=url)


def read_all(source: SqlRecords) -> int:
    """Reads every record as a run does; returns how many there were."""
    greatest = source.greatest_position()
    chunks = list(source.keys(after=None, chunk_rows=1000))
    assert greatest is not None
    return sum(len(frame) for frame, _ in source.rows(first=chunks[0][0], last=greatest, chunk_rows=1000))


def end_sessions(url: str) -> None:
    """Ends every session of the sources, as a restart of the server does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'batchord-source' AND datname = current_database()"
        )


def test_a_reader_may_stop_after_its_session_has_ended(url: str) -> None:
    """No error, since it wants nothing more, and no cursor that stays open."""
    source = records(url)
    greatest = source.greatest_position()
    assert greatest is not None
    chunks = source.rows(first=Position(arrival=None, key=1), last=greatest, chunk_rows=1000)
    assert len(next(chunks)[0]) == 1000
    end_sessions(url)
    assert isinstance(chunks, Generator)
    chunks.close()
    cursors = [each for each in gc.get_objects() if type(each) is psycopg.ServerCursor]
    assert [cursor for cursor in cursors if not cursor.closed] == []


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT * FROM missing", 'relation "missing" does not exist'),
        ("SELECT id, bdy FROM records", 'column "bdy" does not exist'),
        ("SELECT id FROM records WHERE", "syntax error"),
        ("SELECT id, 1 / (id - id) AS body FROM records", "101 of 1,000 records cannot be read.*division by zero"),
        ("SELECT id FROM records FOR UPDATE", "read-only transaction"),
        ("SELECT to_json(id) AS id FROM records", r"'id' is of type json, .* CAST\(id AS text\) AS id"),
    ],
)
def test_what_the_author_wrote_wrong_is_the_authors(url: str, sql: str, says: str) -> None:
    """Trying again would not help; the message holds the database's words."""
    with pytest.raises(ConfigurationError, match=f"(?s){says}") as caught:
        read_all(records(url, sql))
    assert secret(url) not in str(caught.value)


def test_a_missing_right_is_the_operators(url: str) -> None:
    """A user who may not read the table."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS stranger")
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'p4ss'")
    stranger = sa.make_url(url).set(username="stranger", password="p4ss")  # noqa: S106
    try:
        with pytest.raises(ConfigurationError, match="permission denied for table records"):
            records(stranger.render_as_string(hide_password=False)).check()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP ROLE stranger")


def test_a_wrong_password_is_an_operator_error_and_is_not_shown(url: str) -> None:
    """Neither the right password nor the wrong one stands in the message."""
    wrong = sa.make_url(url).set(password="wr0ng-secret").render_as_string(hide_password=False)  # noqa: S106
    with pytest.raises(ConfigurationError, match="authentication failed") as caught:
        records(wrong).check()
    assert "wr0ng-secret" not in str(caught.value)


def test_a_server_that_does_not_answer_may_answer_later(url: str) -> None:
    """Nobody listens on that port; a later attempt may find the server started."""
    nobody = sa.make_url(url).set(port=9).render_as_string(hide_password=False)
    with pytest.raises(TransientError, match="refused") as caught:
        records(nobody).check()
    assert secret(url) not in str(caught.value)


def test_a_session_that_ends_while_it_reads_may_work_later(url: str) -> None:
    """The read fails as transient, and the next one gets a new connection."""
    source = records(url)
    last = source.greatest_position()
    assert last is not None
    frames = source.rows(first=next(iter(source.keys(after=None, chunk_rows=1)))[0], last=last, chunk_rows=10)
    assert len(next(frames).frame) == 10
    end_sessions(url)
    with pytest.raises(TransientError):
        list(frames)
    assert read_all(source) == 5000


def test_a_pooled_session_that_ended_is_replaced_unseen(url: str) -> None:
    """A server that restarts between two runs is not noticed."""
    source = records(url)
    assert source.running_transactions() == frozenset()
    end_sessions(url)
    assert source.running_transactions() == frozenset()


def test_a_statement_that_takes_too_long_may_work_later(url: str) -> None:
    """A time-out of the server's is a matter of load."""
    name = urlsplit(url).path[1:]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET statement_timeout = '100ms'".encode())
    with pytest.raises(TransientError, match="statement timeout"):
        records(url, "SELECT 1 AS id FROM pg_sleep(20)").greatest_position()


def test_an_environment_variable_that_is_not_set_is_named() -> None:
    """The operator reads which one."""
    declared = SqlSource("SELECT 1 AS id", key="id", url_env="SHOP_DATABASE")
    with pytest.raises(ConfigurationError, match="Set SHOP_DATABASE"):
        open_source(declared, default_url="")


@pytest.mark.parametrize("address", ["postgresql://user:s3cret@host:port/name", "s3cret", "nosuch://u:s3cret@h/d"])
def test_an_address_that_cannot_be_used_is_not_shown(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold a password."""
    monkeypatch.setenv("SHOP_DATABASE", address)
    declared = SqlSource("SELECT 1 AS id", key="id", url_env="SHOP_DATABASE", settle=timedelta(0))
    with pytest.raises(ConfigurationError) as caught:
        open_source(declared, default_url="")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM missing", "SELECT id, bdy FROM records", "SELECT id FROM records WHERE"]
)
def test_sqlites_errors_are_distinguished(tmp_path: Path, sql: str) -> None:
    """SQLite calls everything operational: a wrong query and a locked file."""
    path = tmp_path / "records.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("CREATE TABLE records (id INTEGER)")
    address = f"sqlite:///{path}?timeout=0"
    declared = SqlSource(sql, key="id", settle=timedelta(0))
    with pytest.raises(ConfigurationError):
        open_source(declared, default_url=address).check()
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TransientError, match="locked"):
        open_source(SqlSource("SELECT * FROM records", key="id", settle=timedelta(0)), default_url=address).check()
    writer.close()
    dispose_engines()


def test_a_forked_process_has_connections_of_its_own(url: str) -> None:
    """Two processes that read from one socket would get each other's rows."""
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    before = server_process(url)
    child = fork.Process(target=tell_server_process, args=(url, answers))
    child.start()
    child.join(timeout=30)
    assert child.exitcode == 0
    assert answers.get() != before
    assert server_process(url) == before


def server_process(url: str) -> int:
    """The server's process behind this process's pooled connection."""
    with engine_for(source_url(SqlSource("SELECT 1", key="id"), url)).connect() as connection:
        return int(connection.scalar(sa.text("SELECT pg_backend_pid()")) or 0)


def tell_server_process(url: str, answers: "SimpleQueue[int]") -> None:
    """The function that the child process runs."""
    answers.put(server_process(url))
    dispose_engines()


def secret(url: str) -> str:
    """The password in an address."""
    password = sa.make_url(url).password
    assert password
    return str(password)


def test_every_error_is_batchords(url: str) -> None:
    """A key that compares with nothing in the table is no crash of the driver's."""
    with pytest.raises(BatchordError, match="invalid input syntax"):
        list(records(url).keys(after=Position(arrival=None, key="no number"), chunk_rows=10))
