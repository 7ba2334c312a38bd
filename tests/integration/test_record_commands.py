"""The commands `why`, `reset` and `rerun --wait`, over a real ledger and without a process of their own."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import batchord, history, interventions, output, waiting
from app.cli import reset as reset_command
from app.cli import why as why_command
from app.cli.terminal import Terminal
from batchord.core.run.messages import Message
from batchord.core.run.run_ids import SHORTEST
from tests.integration.flow_parts import ITEMS, Bench


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Three predicted records. Commands find this ledger, and what they publish is done at once."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(3)
        bench.declare()
        bench.run()

        def work_off(messages: Sequence[Message]) -> None:
            bench.run_on(bench.ledger.reports.runs(limit=1)[0].id, messages)

        monkeypatch.setattr("batchord.wiring.parts", bench.parts)
        monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
        monkeypatch.setattr(interventions, "publish", work_off)
        yield bench


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns gets."""
    written = io.StringIO()
    for module in (output, history, interventions, reset_command, waiting, why_command):
        monkeypatch.setattr(module, "console", Terminal(width=80, file=written))
    return written


def call(*arguments: str, answer: str | None = None) -> Result:
    """Calls a command as a person would; its error, if it is Batchord's own, is raised."""
    return CliRunner().invoke(batchord, arguments, input=answer, catch_exceptions=False)


def test_why_tells_a_story_in_few_lines(bench: Bench, screen: io.StringIO) -> None:
    """No line is longer than the terminal; the run is named as every command accepts it."""
    assert call("why", ITEMS, "2").exit_code == 0
    told = screen.getvalue()
    assert max(len(line.rstrip()) for line in told.splitlines()) <= 80
    assert len(told.splitlines()) < 15
    run_id = bench.ledger.reports.runs()[0].id
    for part in ("items: record 2", "step score: predicted", "score 2", run_id[:SHORTEST], "test:1", "unchanged since"):
        assert part in told


def test_why_exits_with_one_if_nobody_knows_the_record(bench: Bench, screen: io.StringIO) -> None:
    """It names keys that may have been meant."""
    assert bench
    assert call("why", ITEMS, "'2'").exit_code == 1
    assert "Did you mean 2?" in screen.getvalue()
    assert json.loads(call("why", ITEMS, "'2'", "--json").stdout)["near"] == ["2"]
    assert json.loads(call("why", ITEMS, "-2", "--json").stdout)["key"] == "-2"


def test_reset_refuses_where_it_cannot_ask(bench: Bench) -> None:
    """In a script, and for programs: `--yes` must be given."""
    for arguments in (("reset", ITEMS), ("reset", ITEMS, "--json")):
        refused = call(*arguments)
        assert (refused.exit_code, "Give --yes" in refused.stderr) == (2, True)
    assert len(bench.outcomes()) == 3


@pytest.mark.parametrize("agrees", [False, True])
def test_reset_asks(bench: Bench, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, agrees: bool) -> None:
    """After it has shown what goes; anything but yes changes nothing."""
    monkeypatch.setattr(reset_command, "_can_ask", lambda: True)
    assert call("reset", ITEMS, answer="y\n" if agrees else "\n").exit_code == (0 if agrees else 1)
    assert len(bench.outcomes()) == (0 if agrees else 3)
    assert "A reset of items forgets" in screen.getvalue()
    assert ("Forgotten: 3 predictions, 0 rejections." in screen.getvalue()) == agrees


def test_reset_for_programs(bench: Bench) -> None:
    """With `--yes`, it says what it has forgotten; a second time there is nothing."""
    expected = {"pipeline": ITEMS, "steps": [{"step": "score", "predictions": 3, "rejections": 0}]}
    assert json.loads(call("reset", ITEMS, "--yes", "--json").stdout) == expected
    assert json.loads(call("reset", ITEMS, "--yes", "--json").stdout) == {"pipeline": ITEMS, "steps": []}
    assert bench.column("SELECT action FROM batchord.history") == ["reset"]


def test_show_says_that_the_work_of_a_run_was_reset(bench: Bench, screen: io.StringIO) -> None:
    """By the name of its pipeline, too."""
    assert bench
    call("reset", ITEMS, "--yes")
    assert call("show", ITEMS).exit_code == 0
    assert "step score was reset at" in screen.getvalue()


def test_rerun_waits_and_exits_as_run_does(bench: Bench, screen: io.StringIO) -> None:
    """A pipeline's name stands for its newest run; the exit code is that of the new run's state."""
    before = bench.ledger.reports.runs()[0].id
    assert call("rerun", ITEMS, "--wait").exit_code == 0
    assert "items succeeded" in screen.getvalue()
    again = bench.ledger.reports.runs()[0]
    assert again.rerun_of == before

    def broken(frame: object) -> None:
        raise RuntimeError(f"the weights are gone, before {type(frame)}")

    bench.declare(broken)
    bench.insert(1)
    assert call("rerun", again.id[:13], "--wait").exit_code == 1
    bench.insert(1)
    ended = call("rerun", ITEMS, "--wait", "--json")
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["state"], told["id"]) == (1, "failed", bench.ledger.reports.runs()[0].id)
    assert "no usable prediction" in told["error"]
