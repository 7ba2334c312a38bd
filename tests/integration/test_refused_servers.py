"""Wrong settings end in one line with the variable, the host and the remedy, at once and without a password."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from batchord.core.errors import ConfigurationError, TransientError
from batchord.ledger import Ledger, migrate
from batchord.queue.redis_server import check_redis

SECRET = "wr0ng-s3cret"  # noqa: S105
PIPELINE = (
    "from batchord import Pipeline, SqlSource\n"
    "def length(frame):\n    return frame['body'].str.len()\n"
    "notes = Pipeline('notes', source=SqlSource('SELECT id, body FROM notes', key='id'), model=length)\n"
)


def changed(url: str, **parts: object) -> str:
    """The address with other parts."""
    return sa.make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]


def error_line(url: str) -> str:
    """The error line for a ledger that refuses the connection."""
    with pytest.raises(ConfigurationError) as caught:
        Ledger(url).check()
    (line,) = str(caught.value).splitlines()
    assert "BATCHORD_DATABASE_URL" in line
    assert "127.0.0.1" in line
    return line


def test_each_refusal_says_what_to_do(database_url: str) -> None:
    """The server's words, and a person's next step."""
    wrong = error_line(changed(database_url, password=SECRET))
    assert SECRET not in wrong
    assert "correct the user and the password" in wrong
    assert "create the database, or name another" in error_line(changed(database_url, database="nosuch"))
    assert "correct the user" in error_line(changed(database_url, username="nobody", password=SECRET))
    assert "sslmode" in error_line(changed(database_url, query={"sslmode": "require"}))
    assert "correct the address" in error_line(changed(database_url, query={"nosuch": "x"}))


def test_a_right_that_is_missing_is_named(database_url: str) -> None:
    """A user that may connect, and not read the ledger."""
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("CREATE ROLE guest LOGIN PASSWORD 'p4ss-w0rd'")
    guest = changed(database_url, username="guest", password="p4ss-w0rd")  # noqa: S106
    ledger = Ledger(guest)
    try:
        with pytest.raises(
            ConfigurationError, match=r"denies a right: permission denied for schema batchord. Run `batchord"
        ):
            ledger.reports.runs(limit=1)
        with pytest.raises(ConfigurationError, match="denies a right"):
            migrate(guest)
    finally:
        ledger.close()
        with psycopg.connect(database_url, autocommit=True) as session:
            session.execute("DROP ROLE guest")


def test_a_server_that_does_not_answer_may_answer_later(database_url: str) -> None:
    """Nobody listens there."""
    with pytest.raises(TransientError, match="BATCHORD_DATABASE_URL"):
        Ledger(changed(database_url, port=9)).check()


@pytest.mark.parametrize("spelling", ["postgresql+psycopg", "postgresql+asyncpg", "postgres"])
def test_the_ledger_opens_in_every_spelling(
    settings_env: dict[str, str], database_url: str, tmp_path: Path, spelling: str
) -> None:
    """Also for what SQLAlchemy and libpq each read by themselves."""
    url = database_url.replace("postgresql", spelling, 1)
    for command in (["migrate"], ["runs"]):
        ended = batchord(settings_env | {"BATCHORD_DATABASE_URL": url}, tmp_path, *command)
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", ["migrate", "runs", "audit", "plan notes", "run notes --local", "up"])
def test_commands_tell_of_a_wrong_password_in_one_line(
    settings_env: dict[str, str], database_url: str, tmp_path: Path, command: str
) -> None:
    """At once, without a traceback, and without the password."""
    url = changed(database_url, password=SECRET).replace("postgresql", "postgresql+psycopg2", 1)
    ended = batchord(settings_env | {"BATCHORD_DATABASE_URL": url}, tmp_path, *command.split())
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert line.startswith("Error: The ledger's database")
    assert SECRET not in line + ended.stdout


@pytest.mark.parametrize("program", ["worker --pool threads --queues control", "beat"])
def test_workers_and_beat_do_not_start_with_what_cannot_heal(
    settings_env: dict[str, str], redis_url: str, tmp_path: Path, program: str
) -> None:
    """They would try, and log, for ever."""
    place = redis_url.rpartition("@")[2]
    environment = settings_env | {"BATCHORD_REDIS_URL": f"redis://:{SECRET}@{place}"}
    ended = run(environment, tmp_path, "celery", "-A", "app", *program.split())
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"Error: Redis at {place.partition('/')[0]}")
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


def test_a_worker_does_not_start_without_its_ledger(
    settings_env: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    """Each task would fail, and be tried again."""
    environment = settings_env | {"BATCHORD_DATABASE_URL": changed(database_url, database="nosuch")}
    ended = run(environment, tmp_path, "celery", "-A", "app", "worker", "--pool", "threads", "--queues", "control")
    assert ended.returncode == 1
    assert 'database "nosuch" does not exist' in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("url", ["http://h/0", "amqp://u:s3cret@h", "redis.example.com"])
def test_an_address_that_is_none_of_redis_is_refused(settings_env: dict[str, str], tmp_path: Path, url: str) -> None:
    """By name of the variable."""
    ended = batchord(settings_env | {"BATCHORD_REDIS_URL": url}, tmp_path, "run", "notes")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: BATCHORD_REDIS_URL must be an address of Redis")
    assert "s3cret" not in line


@pytest.mark.parametrize("program", ["worker", "inspect ping"])
def test_celerys_commands_refuse_what_not_every_client_can_use(
    settings_env: dict[str, str], tmp_path: Path, program: str
) -> None:
    """When they start, in one line."""
    environment = settings_env | {"BATCHORD_REDIS_URL": "sentinel://:s3cret@127.0.0.1:26379/0"}
    ended = run(environment, tmp_path, "celery", "-A", "app", *program.split())
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert line.startswith("Error: BATCHORD_REDIS_URL begins with sentinel://")
    assert "s3cret" not in line


def test_a_redis_that_does_not_answer_is_waited_for() -> None:
    """A worker may be there before it."""
    check_redis("redis://127.0.0.1:9/0")


def batchord(environment: dict[str, str], folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command over one pipeline."""
    return run(environment, folder, "batchord", *arguments)


def run(environment: dict[str, str], folder: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A program of this environment's."""
    pipelines = folder / "pipelines"
    pipelines.mkdir(exist_ok=True)
    (pipelines / "notes.py").write_text(PIPELINE)
    return subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        env=os.environ | environment | {"BATCHORD_PIPELINES": str(pipelines)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
