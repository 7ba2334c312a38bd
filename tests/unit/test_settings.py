"""Settings: the environment first, then what the local stack wrote; wrong ones say so, secrets never show."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from batchord.core.errors import ConfigurationError
from batchord.settings import SERVERS_FILE, Settings, settings

_URL = "postgresql://me:hunter2@127.0.0.1:5432/ledger"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test alone."""
    monkeypatch.setenv("BATCHORD_HOME", str(tmp_path))
    return tmp_path


def _write_servers(home: Path, **servers: str) -> None:
    (home / SERVERS_FILE).write_text(json.dumps(servers), encoding="utf-8")


def test_nothing_needs_to_be_set(home: Path) -> None:
    """Defaults are those of one machine; no server is assumed."""
    configured = Settings()

    assert configured.home == home
    assert configured.pipelines == Path("pipelines")
    assert configured.database_url is None
    assert configured.redis_url is None
    assert configured.parallelism >= 2


def test_the_local_stacks_servers_are_found(home: Path) -> None:
    """A second terminal therefore needs no variables."""
    _write_servers(home, database_url=_URL, redis_url="redis://127.0.0.1:6379/0")

    configured = Settings()

    assert configured.require_database_url() == _URL
    assert configured.require_redis_url() == "redis://127.0.0.1:6379/0"


def test_the_environment_comes_before_the_local_stack(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one: what the environment leaves out is still taken from the file."""
    _write_servers(home, database_url=_URL, redis_url="redis://127.0.0.1:6379/0")
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "postgresql://elsewhere/ledger")

    configured = Settings()

    assert configured.require_database_url() == "postgresql://elsewhere/ledger"
    assert configured.require_redis_url() == "redis://127.0.0.1:6379/0"


def test_roles_are_those_of_one_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment names a database, none of the local one counts; what is not given is the ledger's."""
    _write_servers(home, database_url=_URL, source_url="postgresql://source@127.0.0.1/ledger")
    local = Settings().database_roles()
    assert (local.ledger, local.author, local.owner) == (_URL, _URL, _URL)
    assert local.source == "postgresql://source@127.0.0.1/ledger"

    monkeypatch.setenv("BATCHORD_DATABASE_URL", "postgres://elsewhere/ledger")
    monkeypatch.setenv("BATCHORD_AUTHOR_URL", "host=elsewhere dbname=ledger user=author")
    other = Settings().database_roles()
    assert (other.source, other.owner, other.admin) == (other.ledger, other.ledger, None)
    assert other.author == "postgresql://author@elsewhere/ledger"
    assert "elsewhere" not in repr(other)


def test_a_roles_address_that_cannot_be_read_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem names the variable and does not show its value."""
    _write_servers(home, database_url=_URL)
    monkeypatch.setenv("BATCHORD_SOURCE_URL", "mysql://me:hunter2@h/x")
    with pytest.raises(ConfigurationError, match="BATCHORD_SOURCE_URL must be the address of a PostgreSQL") as caught:
        Settings().database_roles()
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("home")
def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose and shells pass on what is not set as an empty text."""
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "")
    monkeypatch.setenv("BATCHORD_LEASE_SECONDS", "")

    assert Settings().database_url is None
    assert Settings().lease_seconds == 60


def test_arguments_come_before_both(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tests and programs give them."""
    _write_servers(home, s3_region="from-file")
    monkeypatch.setenv("BATCHORD_S3_REGION", "from-environment")

    assert Settings(s3_region="given").s3_region == "given"


def test_the_servers_file_may_say_more_than_settings(home: Path) -> None:
    """A newer stack's file, or its own notes."""
    _write_servers(home, redis_url="redis://127.0.0.1/0", started_at="2026-01-01")

    assert Settings().require_redis_url() == "redis://127.0.0.1/0"


@pytest.mark.parametrize(
    ("require", "variable"),
    [("require_database_url", "BATCHORD_DATABASE_URL"), ("require_redis_url", "BATCHORD_REDIS_URL")],
)
@pytest.mark.usefixtures("home")
def test_a_server_that_is_not_configured_says_what_to_do(require: str, variable: str) -> None:
    """Name the variable, or start the local ones."""
    with pytest.raises(ConfigurationError, match=rf"set {variable}, or start the local servers with `batchord up`"):
        getattr(Settings(), require)()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_SECONDS", "0"),
        ("LEASE_SECONDS", "soon"),
        ("MAX_ATTEMPTS", "0"),
        ("MAX_SHARDS", "1001"),
        ("PARALLELISM", "0"),
        ("LOG_FORMAT", "xml"),
        ("SWEEP_SECONDS", "-1"),
        ("VISIBILITY_TIMEOUT_SECONDS", "1.5"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_value_that_cannot_work_is_refused_by_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start of a process, not in the middle of a run."""
    monkeypatch.setenv(f"BATCHORD_{name}", value)

    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_secrets_show_nowhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in repr, str, a dump or JSON: settings end up in logs and tracebacks."""
    _write_servers(home, database_url=_URL)
    monkeypatch.setenv("BATCHORD_S3_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("BATCHORD_REDIS_URL", "redis://:hunter2@127.0.0.1/0")

    configured = Settings()

    shown = [repr(configured), str(configured), str(configured.model_dump()), configured.model_dump_json()]
    assert not [text for text in shown if "hunter2" in text]


@pytest.mark.usefixtures("home")
def test_settings_do_not_change() -> None:
    """Whoever holds them can rely on them."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().lease_seconds = 5


def test_a_process_reads_its_settings_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the environment in between must not split a process in two."""
    settings.cache_clear()
    try:
        first = settings()
        monkeypatch.setenv("BATCHORD_S3_REGION", "elsewhere")

        assert settings() is first
        assert first.home == home
    finally:
        settings.cache_clear()
