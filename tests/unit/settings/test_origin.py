"""An error about a server says where its address comes from, and what to do."""

import json
from pathlib import Path

import pytest

from batchord.settings import origin_of, start_or_correct

ADDRESS = "postgresql://ada:secret@db:5432/shop"
VARIABLE = "BATCHORD_DATABASE_URL"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which nothing is configured."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("BATCHORD_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """In any spelling of the address."""
    monkeypatch.setenv(VARIABLE, ADDRESS.replace("postgresql", "postgres"))
    assert origin_of(VARIABLE, ADDRESS) == VARIABLE
    assert start_or_correct(VARIABLE, ADDRESS) == f"Start it, or correct {VARIABLE}."


def test_a_file_with_the_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is named."""
    secret = folder / "url"
    secret.write_text(ADDRESS)
    monkeypatch.setenv(f"{VARIABLE}_FILE", str(secret))
    assert origin_of(VARIABLE, ADDRESS) == f"{VARIABLE}_FILE, file {secret}"


def test_a_line_of_the_projects_file(folder: Path) -> None:
    """With its number."""
    (folder / "batchord.toml").write_text(f'lease_seconds = 30\ndatabase_url = "{ADDRESS}"\n')
    assert origin_of(VARIABLE, ADDRESS) == f"{folder / 'batchord.toml'}:2: `database_url`"
    assert start_or_correct(VARIABLE, ADDRESS) == "Start it, or correct that line of batchord.toml."


def test_a_server_of_the_local_stack(folder: Path) -> None:
    """Its person never wrote an address, so a command starts it."""
    (folder / ".batchord").mkdir()
    (folder / ".batchord" / "servers.json").write_text(json.dumps({"database_url": ADDRESS}))
    assert origin_of(VARIABLE, ADDRESS) == "the local stack"
    assert "`batchord up` starts the local stack" in start_or_correct(VARIABLE, ADDRESS)


def test_an_address_that_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that uses another address than its settings' is told of the variable alone."""
    monkeypatch.setenv("BATCHORD_REDIS_URL", "redis://elsewhere:6379/0")
    assert origin_of("BATCHORD_REDIS_URL", "redis://here:6379/0") == "BATCHORD_REDIS_URL"
    assert origin_of(VARIABLE, ADDRESS) == VARIABLE
