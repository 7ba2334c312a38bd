"""The reference names everything that there is, and nothing else."""

import re
from pathlib import Path

import click
import psycopg
import pytest

import batchord
from batchord.core.reasons import Reason
from batchord.settings import Settings, find_settings, wrong_values
from batchord.settings.allowed import is_secret

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_every_setting_is_described() -> None:
    """No other names are described."""
    described = set(re.findall(r"BATCHORD_[A-Z0-9_]+", (ROOT / "docs/reference/settings.md").read_text("utf-8")))

    files = {name for name in described if name.endswith("_FILE")}
    assert described - files == {f"BATCHORD_{name.upper()}" for name in Settings.model_fields}
    assert {name.removesuffix("_FILE") for name in files} <= described


def test_every_secret_is_named_among_those_that_files_may_hold() -> None:
    """And nothing else is."""
    page = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    listed = re.search(r"^These are the settings (.*?)\.", page, re.MULTILINE | re.DOTALL)

    assert listed is not None
    assert set(re.findall(r"`(\w+)`", listed[1])) == {
        name for name, field in Settings.model_fields.items() if is_secret(field)
    }


def test_the_settings_file_of_the_page_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its example has no problem but the file of a secret, which is not there."""
    page = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "batchord.toml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    found = find_settings(Settings.model_fields)
    assert [problem.name for problem in found.problems] == ["redis_url"]
    assert wrong_values(found, Settings.model_fields) == []


def test_every_column_of_the_ledger_is_described(database_url: str) -> None:
    """Each table has a section that names exactly its columns, as the migrations made them."""
    page = (ROOT / "docs/reference/ledger.md").read_text("utf-8")
    with psycopg.connect(database_url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'batchord' AND table_name <> 'schema_version'"
        ).fetchall()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))

    assert sections.keys() == {table for table, _ in columns}
    for table, section in sections.items():
        first_cells = "".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)) or section
        expected = {column for name, column in columns if name == table}
        assert expected <= set(re.findall(r"`(\w+)`", first_cells)), table
        if first_cells is not section:
            assert set(re.findall(r"`(\w+)`", first_cells)) == expected


def test_every_command_is_described() -> None:
    """Each command has a section that names its options, and pages use no other command."""
    from app.cli import batchord

    page = (ROOT / "docs/reference/commands.md").read_text("utf-8")
    sections = dict(re.findall(r"^## batchord (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    context = click.Context(batchord)
    commands = {name: batchord.get_command(context, name) for name in batchord.list_commands(context)}
    used = {
        word
        for page in PAGES
        for word in re.findall(r"(?:^ *|`)batchord ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }

    assert sections.keys() == commands.keys()
    assert used <= commands.keys()
    for name, command in commands.items():
        assert command is not None
        options = {option for each in command.params for option in each.opts if option.startswith("--")}
        assert {option for option in options - {"--json"} if f"`{option}" not in sections[name]} == set(), name


def test_every_declaration_is_described() -> None:
    """What a pipeline file may import stands in the reference."""
    page = (ROOT / "docs/reference/pipelines.md").read_text("utf-8")

    assert [name for name in batchord.__all__ if f"`{name}(" not in page and name != "Model"] == []


def test_every_reason_for_a_rejection_is_described() -> None:
    """The table names the reasons that the program gives, and no other."""
    rows = re.findall(r"^\| (`[a-z-]+`.*?) \|", (ROOT / "docs/concepts.md").read_text("utf-8"), re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == {str(reason) for reason in Reason}
