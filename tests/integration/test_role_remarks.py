"""`batchord migrate` and `batchord status` say what one role for everything may do and need not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.stack import migrate, status
from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.settings import settings


@pytest.fixture
def one_role(empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database of one's own, by its superuser."""
    monkeypatch.setenv("BATCHORD_DATABASE_URL", empty_database_url)
    monkeypatch.setenv("BATCHORD_HOME", str(tmp_path))
    monkeypatch.setenv("BATCHORD_PIPELINES", str(tmp_path / "none"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("one_role")
def test_one_role_works_and_is_remarked_on() -> None:
    """The exit code of `migrate` is 0, and nothing but the remark is said of it."""
    told = CliRunner().invoke(migrate, ["--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.output)
    assert found["migrated"]
    (remark,) = found["remarks"]
    assert "is a superuser" in remark
    assert "docs/how-to/roles.md" in remark
    assert "! The role batchord" in CliRunner().invoke(migrate, []).output
    assert json.loads(CliRunner().invoke(status, ["--json"]).output)["remarks"] == [remark]
    assert "! The role batchord" in CliRunner().invoke(status, []).output


@pytest.mark.usefixtures("one_role")
def test_a_database_that_is_away_hides_nothing_else_of_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with the variable that people set, and all is not well."""
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:9/x")
    settings.cache_clear()
    found = json.loads(CliRunner().invoke(status, ["--json"]).output)
    (remark,) = found["remarks"]
    assert remark.startswith(
        "The configured database cannot be used: The ledger's database x at 127.0.0.1:9 (user me, "
    )
    assert "BATCHORD_DATABASE_URL" in remark
    assert found["well"] is False
    assert "hunter2" not in remark
    assert found["servers"]


@pytest.mark.usefixtures("one_role")
def test_addresses_of_different_databases_are_distinguished(
    database_roles: DatabaseRoles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise migrations would go to the one, and commands would miss them in the other."""
    monkeypatch.setenv("BATCHORD_OWNER_URL", database_roles.owner)
    settings.cache_clear()
    remarks = json.loads(CliRunner().invoke(migrate, ["--json"]).output)["remarks"]
    assert any(
        "the database of BATCHORD_OWNER_URL, but not in that of "
        "BATCHORD_DATABASE_URL, BATCHORD_AUTHOR_URL, BATCHORD_SOURCE_URL" in remark
        for remark in remarks
    )
