"""Discovery behind a transaction pooler that the application uses as well."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import SqlRecords, open_source


@pytest.fixture
def url(empty_database_url: str) -> Iterator[str]:
    """A database of this test alone, with a table of records."""
    with psycopg.connect(empty_database_url, autocommit=True) as session:
        session.execute("CREATE TABLE records (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)")
    yield empty_database_url
    dispose_engines()


def records(url: str) -> SqlRecords:
    """The records, ordered by their key."""
    return open_source(SqlSource("SELECT id, body FROM records", key="id"), default_url=url)


def test_an_application_on_a_session_that_was_ours_is_running(url: str, pooled: Callable[[str], str]) -> None:
    """The server's session still carries the name that our connection gave it; the transaction is not ours."""
    source = records(pooled(url))
    source.greatest_position()
    with psycopg.connect(pooled(url)) as application:  # without a name, as most drivers have none
        application.execute("INSERT INTO records (body) VALUES ('slow')")
        row = application.execute("SELECT current_setting('application_name')").fetchone()
        assert row == ("batchord-source",)  # otherwise this shows nothing
        (name,) = source.running_transactions()
        assert name.startswith("vx:")
    assert source.running_transactions() == frozenset()


def test_what_reads_through_the_pooler_is_left_out(url: str, pooled: Callable[[str], str]) -> None:
    """A read that is open, of this process or another, writes nothing."""
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("INSERT INTO records (body) SELECT 'x' FROM generate_series(1, 100)")
    source = records(pooled(url))
    chunks = source.keys(after=None, chunk_rows=10)
    assert len(next(chunks)) == 10
    assert source.running_transactions() == frozenset()
    assert records(url).running_transactions() == frozenset()


def test_a_reader_leaves_nothing_on_the_servers_session(url: str, pooled: Callable[[str], str]) -> None:
    """Whoever gets the session next finds it as the server made it."""
    source = records(pooled(url))
    source.greatest_position()
    asked = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), count(*) FROM pg_locks "
    with psycopg.connect(pooled(url)) as application, psycopg.connect(url) as direct:
        mine = application.execute(f"{asked} WHERE locktype = 'advisory' AND pid = pg_backend_pid()").fetchone()
        assert mine == direct.execute(f"{asked} WHERE locktype = 'advisory' AND pid = pg_backend_pid()").fetchone()
