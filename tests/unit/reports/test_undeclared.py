"""An open run whose file is gone says what it waits for, and what to do."""

import io
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import history, output, undeclared
from app.cli.terminal import Terminal
from batchord.catalog import Problem
from batchord.catalog.reading import Loaded
from batchord.core.run.runs import Run, RunState
from batchord.flow.drive.cancel import cancel_run
from batchord.reports.undeclared import old_and_open, undeclared_runs
from tests.integration.flow_parts import ITEMS, Bench

FOLDER = Path("/shop/pipelines")
NO_FILE = Problem(file="odd.py", pipeline=None, what="line 1: SyntaxError: invalid syntax")
ITS_OWN = Problem(file="items.py", pipeline=ITEMS, what="the step has no model")


@pytest.fixture
def waiting(bench: Bench) -> Run:
    """A run of a few minutes, whose file somebody has deleted."""
    bench.declare()
    run = bench.started()
    bench.sql("UPDATE batchord.runs SET created_at = created_at - interval '5 minutes'")
    return bench.ledger.runs.get(run.id)


@pytest.mark.parametrize(
    ("problems", "why", "next_step"),
    [
        ([], "cannot go on: no file in /shop/pipelines declares items. Workers give up", "Restore the file, and"),
        (
            [NO_FILE],
            "waits: no file in /shop/pipelines declares items. odd.py cannot be loaded, and it may declare it.",
            "Correct this file, or restore the pipeline's own, and",
        ),
        ([ITS_OWN], "waits: items has 1 problem in items.py.", "Correct them, and"),
    ],
    ids=["deleted", "deleted beside a broken file", "broken"],
)
def test_it_says_why_and_what_to_do(
    bench: Bench, waiting: Run, problems: list[Problem], why: str, next_step: str
) -> None:
    """With the id as people write it."""
    (found,) = undeclared_runs(bench.ledger, Loaded(problems=problems), FOLDER, [waiting])
    short = str(found).split()[1]
    assert waiting.id.startswith(short)
    assert str(found).startswith(f"Run {short} {why}")
    assert f"{next_step} the run goes on within two minutes; `batchord cancel {short}` ends it." in str(found)


def test_a_run_whose_file_is_there_says_nothing(bench: Bench, waiting: Run) -> None:
    """Nor does one that has ended, or has only just begun."""
    loaded = Loaded(pipelines={ITEMS: bench.catalog.get(ITEMS)})
    assert undeclared_runs(bench.ledger, loaded, FOLDER, [waiting]) == []
    now = bench.ledger.runs.now()
    assert old_and_open([waiting], now) == [waiting]
    assert old_and_open([waiting], waiting.created_at + timedelta(seconds=5)) == []
    cancel_run(bench.parts(), run_id=waiting.id)
    assert old_and_open([bench.ledger.runs.get(waiting.id)], now) == []


@pytest.mark.parametrize("command", [("runs",), ("show", ITEMS)], ids=lambda command: command[0])
def test_commands_say_it(
    bench: Bench, waiting: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """`runs` and `show`, until the run is cancelled, which needs no file."""
    monkeypatch.setenv("BATCHORD_DATABASE_URL", bench.url)
    monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
    catalog = SimpleNamespace(loaded=Loaded(problems=[NO_FILE]), folder=tmp_path)
    monkeypatch.setattr("batchord.wiring.catalog", lambda: catalog)

    assert "declares items" in _said(monkeypatch, *command)
    bench.catalog.pipelines.clear()
    cancel_run(bench.parts(), run_id=waiting.id)
    assert bench.ledger.runs.get(waiting.id).state is RunState.CANCELLED
    assert "declares items" not in _said(monkeypatch, *command)


def _said(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> str:
    screen = io.StringIO()
    for module in (output, history, undeclared):
        monkeypatch.setattr(module, "console", Terminal(width=80, file=screen))
    command: Any = getattr(history, name)
    result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == 0, result.exception
    return " ".join(screen.getvalue().split())
