"""Passwords in files, as Docker, Kubernetes and systemd hand them out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from batchord.core.errors import ConfigurationError
from batchord.output.known_secrets import known_secrets
from batchord.output.own_secrets import is_own_secret
from batchord.settings import Settings, find_settings, settings
from batchord.settings.allowed import is_secret

_URL = "postgresql://me:hunter2-long@127.0.0.1:5432/ledger"
_SECRETS = [name for name, field in Settings.model_fields.items() if is_secret(field)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory of this test."""
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.mark.parametrize("name", _SECRETS)
def test_every_secret_may_come_from_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """By a variable, relative to the working directory, and by batchord.toml; line ends at its end are none of it."""
    (folder / "secret").write_text("first line\nsecond\r\n\n")
    monkeypatch.setenv(f"BATCHORD_{name.upper()}_FILE", "secret")
    assert getattr(Settings(), name) == SecretStr("first line\nsecond")
    monkeypatch.delenv(f"BATCHORD_{name.upper()}_FILE")
    (folder / "batchord.toml").write_text(f'{name}_file = "secret"\n')
    assert getattr(Settings(), name) == SecretStr("first line\nsecond")
    assert is_own_secret(f"batchord_{name}_file"), "commands of steps do not inherit where it is"


def test_what_comes_from_a_file_is_masked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like any other secret of the settings."""
    (folder / "secret").write_text(_URL)
    monkeypatch.setenv("BATCHORD_DATABASE_URL_FILE", str(folder / "secret"))
    assert "hunter2-long" in known_secrets(settings())


def test_the_environment_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that batchord.toml names need not be readable then: beat has no access to the database's."""
    (folder / "batchord.toml").write_text('redis_url_file = "/nonexistent/redis"\n')
    monkeypatch.setenv("BATCHORD_REDIS_URL", "redis://here/0")
    assert settings().require_redis_url() == "redis://here/0"


def test_both_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could tell which one counts. An empty variable is none."""
    (folder / "secret").write_text(_URL)
    monkeypatch.setenv("BATCHORD_DATABASE_URL_FILE", "secret")
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "")
    assert settings().require_database_url() == _URL
    settings.cache_clear()
    monkeypatch.setenv("BATCHORD_DATABASE_URL", _URL)
    told = "BATCHORD_DATABASE_URL and BATCHORD_DATABASE_URL_FILE are both set. Unset one of them."
    with pytest.raises(ConfigurationError, match=told):
        settings()
    monkeypatch.delenv("BATCHORD_DATABASE_URL")
    monkeypatch.delenv("BATCHORD_DATABASE_URL_FILE")
    (folder / "batchord.toml").write_text('redis_url = "redis://x"\nredis_url_file = "secret"\n')
    with pytest.raises(ConfigurationError, match=r"`redis_url` and `redis_url_file` are both given\. Remove one"):
        settings()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is not a UTF-8 text"),
        (b"x" * 70_000, "has more than 65,536 bytes, so it is not a secret"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, told: str
) -> None:
    """With the variable that names it, and none of its text."""
    if content is not None:
        (folder / "secret").write_bytes(content)
    monkeypatch.setenv("BATCHORD_REDIS_URL_FILE", "secret")
    with pytest.raises(ConfigurationError) as caught:
        settings()
    assert str(caught.value).startswith(f"BATCHORD_REDIS_URL_FILE: secret {told}.")


def test_only_secrets_have_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for any other setting is no setting."""
    monkeypatch.setenv("BATCHORD_LEASE_SECONDS_FILE", "nonexistent")
    assert settings().lease_seconds == 60
    (folder / "batchord.toml").write_text('lease_seconds_file = "x"\n')
    assert [problem.what for problem in find_settings(Settings.model_fields).problems] == [
        f"{folder}/batchord.toml:1: `lease_seconds_file` is no setting. Did you mean `lease_seconds`?"
    ]
