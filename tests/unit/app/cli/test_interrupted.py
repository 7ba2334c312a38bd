"""Ctrl-C while a command waits: the runs go on, and the person reads how to come back to them."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import backfill, run, waiting
from batchord.core.run.runs import Run
from batchord.flow.begin.start import start_run
from batchord.settings import settings
from tests.integration.flow_parts import ITEMS, Bench


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A run of a pipeline waits for its planner."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare()
        monkeypatch.setattr("batchord.wiring.ledger", lambda: bench.ledger)
        monkeypatch.setattr("batchord.wiring.catalog", lambda: bench.catalog)
        monkeypatch.setenv("BATCHORD_REDIS_URL", "redis://127.0.0.1:1/0")
        settings.cache_clear()
        yield bench
        settings.cache_clear()


def _interrupted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, interrupt)


def _wait(opened: Run | None, monkeypatch: pytest.MonkeyPatch) -> Result:
    """``batchord run ITEMS --wait``, interrupted before the run is open or while it works."""
    if opened is None:
        _interrupted(monkeypatch, run, "_opened")
    else:
        monkeypatch.setattr(run, "_opened", lambda *_: opened)
        _interrupted(monkeypatch, time, "sleep")
    return CliRunner().invoke(run.run, [ITEMS, "--wait"])


def test_a_run_goes_on_when_nobody_waits_for_it_any_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the commands that show it and end it."""
    opened = bench.started()

    said = _wait(opened, monkeypatch)

    assert said.exit_code == 130
    short = said.stderr.split()[2]  # it is shorter later, when no run can begin like this one any more
    assert opened.id.startswith(short)
    assert len(short) < len(opened.id)
    assert said.stderr == (
        f"\nInterrupted. Run {short} goes on. `batchord show {short}` shows it, and "
        f"`batchord cancel {short}` ends it.\n"
    )


def test_a_request_stays_in_the_queue(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 -- declares it
    """No worker has answered yet."""
    said = _wait(None, monkeypatch)

    assert said.exit_code == 130
    assert f"`batchord runs --pipeline {ITEMS}` shows whether the run has started" in said.stderr


@pytest.mark.parametrize(("days", "names"), [(3, "The runs of 3 windows go on"), (1, "goes on. `batchord show ")])
def test_windows_go_on_too(bench: Bench, monkeypatch: pytest.MonkeyPatch, days: int, names: str) -> None:
    """All of them, and the runs' states are not awaited."""
    runs = [start_run(bench.parts(), pipeline=ITEMS, trigger="backfill")[0] for _ in range(days)]
    monkeypatch.setattr("batchord.flow.begin.backfill.fill_windows", lambda *_, **__: (runs, []))
    monkeypatch.setattr("batchord.wiring.parts", lambda: None)
    _interrupted(monkeypatch, backfill, "_ended")

    said = CliRunner().invoke(run.run, [ITEMS, "--from", "2026-01-01", "--to", "2026-01-04", "--wait"])

    assert said.exit_code == 130
    assert names in said.stderr


def test_a_person_who_waits_reads_for_what(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run by hand waits while an earlier run of its pipeline is active."""
    earlier = bench.started()
    opened, _ = start_run(bench.parts(), pipeline=ITEMS, trigger="call")
    monkeypatch.setattr(waiting, "_TELL_SECONDS", 0.0)

    said = _wait(opened, monkeypatch)

    told = re.search(r"Run (\S+) is queued. It waits for run (\S+), which is running.", said.stderr)
    assert told is not None
    assert opened.id.startswith(told[1])
    assert earlier.id.startswith(told[2])
