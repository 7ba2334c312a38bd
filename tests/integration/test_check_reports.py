"""`batchord check` says what it did not check, and speaks to people, programs and GitHub."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from app.cli.check import check
from batchord.settings import Settings
from tests.integration.checked_files import SOUND, checked, configure, forgotten, write


@pytest.fixture(autouse=True)
def _own_modules(tmp_path: Path) -> Iterator[None]:
    with forgotten(tmp_path):
        yield


@pytest.fixture
def _nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configure(monkeypatch, Settings())


@pytest.mark.usefixtures("_nothing_configured")
def test_without_a_database_it_says_that_sql_was_not_checked(tmp_path: Path) -> None:
    """Declarations are checked, and sources whose own database is known."""
    write("reviews.py", SOUND)
    lite = f"sqlite:///{tmp_path}/lite.db"
    write(
        "b.py",
        f"""
        from datetime import timedelta
        options = {{"key": "id", "settle": timedelta(0)}}
        b = Pipeline("b", steps=[
            Predict("lite", source=SqlSource("SELECT 1 AS i", url={lite!r}, **options), model=len),
            Predict("unset", source=SqlSource("SELECT 1 AS id", url_env="NO_SUCH_URL", **options), model=len),
        ])
        """,
    )

    told = checked(code=1)

    (problem,) = told["problems"]
    assert "key='id' is not a column" in problem["what"]
    steps = ["reviews/score", "reviews/keep", "reviews/more"]
    assert told["unchecked"] == [
        {"reason": "the variable NO_SUCH_URL is not set here", "steps": ["b/unset"]},
        {
            "reason": "no database is configured: set BATCHORD_DATABASE_URL, or call `batchord up` first",
            "steps": steps,
        },
    ]
    people = CliRunner().invoke(check, []).stdout
    assert f"! The SQL of {', '.join(steps)} was not checked: no database is configured" in people


@pytest.mark.usefixtures("_nothing_configured")
def test_annotations_for_github() -> None:
    """One command for each problem. What a problem quotes can neither end its command nor begin another one."""
    write("a,b.py", 'a = Pipeline("a", overlap="50%\\r\\n::error::forged")\n')
    write("c.py", SOUND)

    result = CliRunner().invoke(check, ["--format", "github"])

    lines = result.stdout.splitlines()
    (quoting,) = [line for line in lines if "overlap=" in line]
    assert result.exit_code == 1
    assert [re.match(r"::(\w+) ", line)[1] for line in lines] == ["error", "error", "notice"]  # type: ignore[index]
    assert quoting.startswith("::error file=pipelines/a%2Cb.py,line=2,title=batchord check%3A a::overlap=")
    assert "50%25" in quoting


@pytest.mark.usefixtures("_nothing_configured")
def test_a_folder_that_is_missing_is_a_problem() -> None:
    """A check of nothing must not look like success."""
    result = CliRunner().invoke(check, [])

    assert result.exit_code == 1
    assert "pipelines:1: ✗ this folder does not exist" in result.stdout


def test_a_database_that_is_away_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its password is not shown."""
    monkeypatch.chdir(tmp_path)
    configure(monkeypatch, Settings(database_url=SecretStr("postgresql://me:hidden-1@127.0.0.1:1/db")))
    write("reviews.py", SOUND)

    result = CliRunner().invoke(check, [])

    assert result.exit_code == 1
    assert "does not answer" in result.stdout
    assert "hidden-1" not in result.stdout
