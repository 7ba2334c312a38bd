"""A server that does not answer: which one, where its address comes from, and the next step, without the password."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from app.cli import batchord as command_line
from app.cli import broker
from batchord.core.errors import TransientError
from batchord.ledger import Ledger
from batchord.queue.switchboard import Switchboard
from batchord.settings import settings
from batchord.sources.sql.failures import translated
from batchord.sources.sql.table_reading import describe_table
from batchord.steps.sql.failures import connecting

SECRET = "wr0ng-s3cret"  # noqa: S105
NOWHERE = f"postgresql://me:{SECRET}@127.0.0.1:1/shop"
REDIS = f"redis://:{SECRET}@127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both servers are configured by variables, and nothing listens there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BATCHORD_DATABASE_URL", NOWHERE)
    monkeypatch.setenv("BATCHORD_REDIS_URL", REDIS)
    settings.cache_clear()


def said_by(call: Callable[[], object]) -> str:
    """The error, which is one line without the password."""
    with pytest.raises(TransientError) as caught:
        call()
    (line,) = str(caught.value).splitlines()
    assert SECRET not in line
    return line


def test_the_ledgers_database() -> None:
    """Host, port, user, variable, reason and next step."""
    assert said_by(Ledger(NOWHERE).check) == (
        "The ledger's database shop at 127.0.0.1:1 (user me, BATCHORD_DATABASE_URL) does not answer: Connection "
        "refused. Start it, or correct BATCHORD_DATABASE_URL."
    )


@pytest.mark.parametrize(
    "words",
    [
        "runs",
        "show 01",
        "logs 01",
        "history",
        "why items 1",
        "retry items",
        "cancel 01",
        "rerun 01",
        "pause items",
        "schedule items --every 5m",
        "run items",
        "run items --local",
    ],
)
def test_a_command_does_not_wait_for_a_ledger_that_is_away(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends before it opens a pool, which would wait as long as for a server that starts."""

    def pool(*_: object, **__: object) -> None:
        pytest.fail("a pool was opened")

    monkeypatch.setattr("batchord.ledger.connection.ConnectionPool", pool)
    monkeypatch.setattr("batchord.wiring.ledger", lambda: Ledger(NOWHERE))
    monkeypatch.setattr("app.cli.run.known", lambda _: None)
    told = said_by(lambda: CliRunner().invoke(command_line, words.split(), catch_exceptions=False))
    assert "does not answer: Connection refused" in told


def test_a_line_of_the_projects_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the place to correct."""
    monkeypatch.delenv("BATCHORD_DATABASE_URL")
    (tmp_path / "batchord.toml").write_text(f'database_url = "{NOWHERE}"\n')
    told = said_by(Ledger(NOWHERE).check)
    assert f"(user me, {tmp_path / 'batchord.toml'}:1: `database_url`)" in told
    assert told.endswith("Start it, or correct that line of batchord.toml.")


def test_redis_for_a_command_and_for_a_process() -> None:
    """Whether a command sends a request, or the sweeper shows beat what is paused."""
    for call in (lambda: broker.ask("batchord.start_run"), lambda: Switchboard(REDIS).show({})):
        told = said_by(call)
        assert told.startswith("Redis at 127.0.0.1:1 (BATCHORD_REDIS_URL) does not answer")
        assert told.endswith("Start it, or correct BATCHORD_REDIS_URL.")


def test_the_database_of_a_source_and_of_a_step() -> None:
    """They may have addresses of their own."""
    told = said_by(lambda: describe_table(NOWHERE, "reviews"))
    assert "The source's database postgresql+psycopg://me:***@127.0.0.1:1/shop does not answer: Connection" in told
    assert "Start it, or correct its address, which is in the source's url=, in the variable of its url_env=" in told

    def connect() -> None:
        url = sa.make_url(NOWHERE).set(drivername="postgresql+psycopg")
        with connecting(url), sa.create_engine(url).connect():
            pass

    assert "Start it, or correct its address, which is in the step's url=" in said_by(connect)


def test_a_server_that_answers_need_not_be_started(database_url: str) -> None:
    """An error of a statement has no such advice."""
    url = sa.make_url(database_url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url)

    def time_out() -> None:
        with translated(url), engine.connect() as connection:
            connection.execute(sa.text("SET statement_timeout = 1"))
            connection.execute(sa.text("SELECT pg_sleep(60)"))

    with pytest.raises(TransientError) as caught:
        time_out()
    engine.dispose()
    assert "statement timeout" in str(caught.value)
    assert "Start it" not in str(caught.value)
