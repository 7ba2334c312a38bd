"""`batchord try` shows a dry run on a terminal of 80 columns and to programs."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import batchord as command
from app.cli import dry_run, failures, output
from app.cli.terminal import Terminal
from batchord import FunctionModel
from batchord.catalog import Problem
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, Bench, length


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns gets."""
    written = io.StringIO()
    for module in (output, dry_run, failures):
        monkeypatch.setattr(module, "console", Terminal(width=80, file=written))
    return written


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Twelve records; the commands' parts are this test's."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        monkeypatch.setattr("batchord.wiring.parts", bench.parts)
        monkeypatch.setattr("batchord.wiring.catalog", lambda: bench.catalog)
        yield bench


def invoked(*arguments: str) -> Result:
    """``batchord try`` with these arguments."""
    return CliRunner().invoke(command, ["try", ITEMS, *arguments])


def failing(frame: Any) -> Any:
    """Raises for the record with twelve letters."""
    if (frame["body"].str.len() == 12).any():
        raise ValueError("twelve is too much")
    return length(frame)


def test_people_see_the_frame_the_predictions_and_the_rejections(bench: Bench, screen: io.StringIO) -> None:
    """No line is longer than the terminal, whatever the texts hold."""
    bench.sql("INSERT INTO records (body) VALUES (repeat('long text ', 500)), (NULL), (E'[red]two\\nlines\\x1b[2J')")
    bench.declare()

    result = invoked()

    assert result.exit_code == 0, result.exception
    told = screen.getvalue()
    assert max(len(line.rstrip()) for line in told.splitlines()) <= 80
    assert "The newest 10 records, by id. Nothing is written." in told
    assert "The model gets 10 records, indexed by id" in told
    assert r"[red]two\nlines\x1b[2J" in told
    assert "not-finite" in told
    assert "Seconds: load 0." in told
    assert len(told.splitlines()) < 40


def test_a_file_that_an_edit_has_broken_is_not_tried(bench: Bench) -> None:
    """Its author wants to see what the edit does: the last good version would say nothing of it."""
    bench.declare()
    bench.catalog.problems.append(Problem(file=f"{ITEMS}.py", pipeline=None, what="line 3: SyntaxError: expected ':'"))

    result = invoked()

    assert (result.exit_code, str(result.exception)) == (1, f"{ITEMS}.py: line 3: SyntaxError: expected ':'")


def test_a_plan_says_that_an_edit_has_broken_the_file(bench: Bench) -> None:
    """The plan is that of the last good version, which runs use, too."""
    bench.declare()
    bench.catalog.problems.append(Problem(file=f"{ITEMS}.py", pipeline=None, what="line 3: SyntaxError: expected ':'"))

    result = CliRunner().invoke(command, ["plan", ITEMS])

    assert (result.exit_code, result.stderr) == (0, f"{ITEMS}.py: line 3: SyntaxError: expected ':'\n")


def test_a_wide_frame_is_shown_by_its_types(bench: Bench, screen: io.StringIO) -> None:
    """Three hundred columns fill no screen, and each line fits."""
    wide = ", ".join(f"{number}.5::float8 AS feature_{number}" for number in range(300))
    bench.declare(source=SqlSource(f"SELECT id, body, {wide} FROM records", key="id"))  # noqa: S608 -- numbers

    assert invoked("--limit", "2").exit_code == 0

    told = screen.getvalue()
    assert max(len(line.rstrip()) for line in told.splitlines()) <= 80
    assert "in 301 columns" in told
    assert len(told.splitlines()) < 30


def test_a_model_that_raises_ends_it_with_1(bench: Bench, screen: io.StringIO) -> None:
    """With the traceback, the record and the command that tries it again; the others are predicted."""
    bench.declare(FunctionModel(failing, version="1"))

    assert invoked().exit_code == 1

    told = screen.getvalue()
    assert "The model raised an error for record 12 at tests/integration/test_try_command.py:" in told.replace("\n", "")
    assert 'raise ValueError("twelve is too much")' in told
    assert "batchord/flow" not in told
    assert "--key 12` tries this record again" in told
    assert "11" in told


def test_records_that_no_run_can_read_are_told(bench: Bench, screen: io.StringIO) -> None:
    """The newest records hide them: without an arrival they come after all others, and in no run."""
    bench.sql("INSERT INTO records (body, created_at) SELECT 'undated', NULL FROM generate_series(1, 5)")
    bench.declare(source=SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at"))

    assert invoked().exit_code == 0

    told = " ".join(screen.getvalue().split())
    assert "! The source has records whose created_at is NULL, such as 13, 14, 15: no run predicts them." in told
    assert "`batchord audit` counts them" in told


def test_a_query_with_a_limit_is_told(bench: Bench, screen: io.StringIO) -> None:
    """It gives the same records to each run, and the newer ones to none."""
    bench.declare(source=SqlSource("SELECT id, body FROM records ORDER BY id LIMIT 5", key="id"))

    assert invoked().exit_code == 0

    assert "! The source's query has a LIMIT: no run sees a record beyond it" in " ".join(screen.getvalue().split())


def unstorable(frame: Any) -> Any:
    """No number."""
    return length(frame) * float("nan")


def test_a_model_without_an_answer_is_told_with_its_line(bench: Bench, screen: io.StringIO) -> None:
    """Rejections end no dry run, but a run fails that predicts nothing because of its model."""
    bench.declare(FunctionModel(unstorable, version="1"))

    assert invoked().exit_code == 0

    told = " ".join(screen.getvalue().split())
    line = unstorable.__code__.co_firstlineno
    assert "! The model gave no answer that can be stored, and a run of such records fails." in told
    assert f"see tests/integration/test_try_command.py:{line}." in told


def test_programs_get_json(bench: Bench) -> None:
    """With the same exit code."""
    bench.declare(FunctionModel(failing, version="1"))

    result = invoked("--json", "--limit", "3")
    found = json.loads(result.stdout)

    assert result.exit_code == 1
    assert set(found) == {"pipeline", "step", "model_version", "chosen", "records", "given", "columns", "predictions",
                          "rejections", "failure", "error", "warnings", "seconds"}  # fmt: skip
    assert found["predictions"] == [
        {"key": "11", "label": None, "score": 11.0, "output": None},
        {"key": "10", "label": None, "score": 10.0, "output": None},
    ]
    assert (found["failure"]["key"], found["rejections"][0]["key"]) == ("12", "12")


def test_a_key_and_a_condition_do_not_go_together(bench: Bench) -> None:
    """A wrong call ends with 2."""
    bench.declare()

    result = invoked("--key", "1", "--where", "true")

    assert (result.exit_code, "Give --key or --where, not both." in result.output) == (2, True)


def test_ctrl_c_names_the_line_at_which_the_model_was(bench: Bench) -> None:
    """It may be in a loop without an end."""

    def endless(_: Any) -> Any:
        raise KeyboardInterrupt

    bench.declare(endless)

    result = invoked()

    line = endless.__code__.co_firstlineno + 1
    assert result.exit_code == 130
    assert result.stderr == (
        f"\nInterrupted. Your code was at tests/integration/test_try_command.py:{line}. Nothing was written.\n"
    )


def test_a_person_sees_that_the_model_is_at_work(
    bench: Bench, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it answers: it may never do so, or end the process."""
    monkeypatch.setattr(dry_run, "console", Terminal(width=80, file=screen, force_terminal=True))

    seen = []

    def watched(frame: Any) -> Any:
        seen.append(screen.getvalue())
        return length(frame)

    bench.declare(watched)
    invoked()

    assert seen == [f"{ITEMS}: the model gets 10 records …\n"]
