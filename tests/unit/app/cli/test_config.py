"""``batchord config``: what is set, where, and what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import batchord
from batchord.settings import Settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a settings file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BATCHORD_HOME")
    (tmp_path / "secret").write_text("redis://:hunter2-long@cache:6379/0\n")
    file = tmp_path / "batchord.toml"
    file.write_text(
        'redis_url_file = "secret"\nlease_seconds = 30\nalert_urls = "slack://TokenA/TokenB/hunter2-long"\n'
        's3_secret_access_key = "hunter2-long"\n'
    )
    file.chmod(0o600)
    return tmp_path


def run(*options: str, code: int = 0) -> Result:
    """The ended command, which shows no secret."""
    result = CliRunner().invoke(batchord, ["config", *options])
    assert result.exit_code == code, result.output
    assert "hunter2" not in result.output
    return result


def as_json(*options: str, code: int = 0) -> Any:
    """What programs get."""
    return json.loads(run("--json", *options, code=code).stdout)


def test_what_is_set_is_shown_with_its_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, line and variable; of an address, only its secret parts are hidden."""
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "postgresql://me:hunter2-long@db/x")
    (folder / ".batchord").mkdir()
    (folder / ".batchord" / "servers.json").write_text('{"s3_endpoint_url": "http://127.0.0.1:1"}')
    shown = {each["name"]: each for each in as_json()["settings"]}
    assert {name: (each["value"], each["origin"]) for name, each in shown.items()} == {
        "database_url": ("postgresql://me:***@db/x", "environment"),
        "redis_url": ("redis://:***@cache:6379/0", f"batchord.toml:1, file {folder}/secret"),
        "s3_endpoint_url": ("http://127.0.0.1:1", "servers.json"),
        "s3_secret_access_key": ("***", "batchord.toml:4"),
        "lease_seconds": (30, "batchord.toml:2"),
        "alert_urls": (shown["alert_urls"]["value"], "batchord.toml:3"),
    }
    assert shown["alert_urls"]["value"].startswith("slack receiver ")
    assert shown["lease_seconds"]["variable"] == "BATCHORD_LEASE_SECONDS"
    text = run().output
    assert text.startswith(f"Settings file: {folder}/batchord.toml\n")
    assert "lease_seconds" in text
    assert "max_attempts" not in text
    assert f"{len(Settings.model_fields) - 6} settings have their defaults." in text


@pytest.mark.usefixtures("folder")
def test_all_shows_the_defaults(folder: Path) -> None:
    """Every setting is there, and the folders' defaults are those of the project."""
    shown = {each["name"]: each for each in as_json("--all")["settings"]}
    assert shown.keys() == Settings.model_fields.keys()
    assert (shown["max_attempts"]["value"], shown["max_attempts"]["origin"]) == (5, "default")
    assert shown["home"]["value"] == f"{folder}/.batchord"
    assert "have their defaults" not in run("--all").output


def test_it_works_when_the_settings_are_broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is wrong and shows the rest; the exit code is 1."""
    (folder / "batchord.toml").write_text("lease_seconds = 30\nmax_attempts = 0\nlogstore = 'x'\n")
    monkeypatch.setenv("BATCHORD_REDIS_URL_FILE", "nonexistent")
    report = as_json(code=1)
    assert [each["name"] for each in report["settings"]] == ["lease_seconds", "max_attempts"]
    assert [problem.removeprefix(f"{folder}/") for problem in report["problems"]] == [
        "BATCHORD_REDIS_URL_FILE: nonexistent cannot be read: No such file or directory.",
        "batchord.toml:3: `logstore` is no setting. Did you mean `log_store`?",
        "batchord.toml:2: `max_attempts` must be a whole number, at least 1, not '0'.",
    ]
    assert run(code=1).output.count("✗") == 3
    (folder / "batchord.toml").write_text("lease_seconds = ")
    output = run(code=1).output
    assert output.startswith(f"Settings file: {folder}/batchord.toml\n")
    assert "batchord.toml:1 is not TOML" in output


def test_remarks_are_no_problems(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in a file that everybody may read, and a variable that is misspelt."""
    monkeypatch.setenv("BATCHORD_LEASE_SECOND", "5")
    monkeypatch.setenv("BATCHORD_SOMETHING_OF_MINE", "5")
    assert as_json()["remarks"] == [
        "BATCHORD_LEASE_SECOND is no setting, so it is ignored. Did you mean BATCHORD_LEASE_SECONDS?"
    ]
    (folder / "batchord.toml").chmod(0o644)
    exposed, _ = as_json()["remarks"]
    assert exposed.startswith("Every user of this machine can read alert_urls, s3_secret_access_key in")


def test_without_a_file_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And shows no empty table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BATCHORD_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run().output.splitlines() == [
        "No batchord.toml here or in a folder above.",
        f"{len(Settings.model_fields)} settings have their defaults. `batchord config --all` shows them.",
    ]
