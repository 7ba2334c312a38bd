"""Attempts at a step that is executed: tried again as its author says, or handed back."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batchord import Branch, Python
from batchord.catalog import Problem
from batchord.core.declared.retries import Retry
from batchord.core.errors import CommandFailed, UnknownPipeline
from batchord.core.run.messages import LONGEST_DELAY, StepReady
from batchord.core.run.runs import RunState
from batchord.flow.dispatch import dispatch
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.step import operators
from batchord.flow.step.execute import execute_step
from batchord.flow.upkeep.recover import sweep
from tests.integration.flow_parts import Bench
from tests.integration.graph_parts import (
    Calls,
    bash,
    declare_graph,
    error,
    history,
    opened,
    ran,
    sent_steps,
    states,
    value,
)

SOON = {"base": timedelta(0)}


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.fixture
def calls() -> Calls:
    """What was called in this test."""
    return Calls()


def test_a_step_is_tried_as_often_as_its_author_says(bench: Bench, calls: Calls) -> None:
    """Twice more; each attempt is written down with its worker and its error."""
    declare_graph(bench, calls.failing("work", retry=Retry(2, **SOON)))
    run = ran(bench)
    assert (run.state, len(calls.made)) == (RunState.FAILED, 3)
    broke = ("test:1", "ValueError: it broke")
    assert history(bench, run.id, "work") == [("retried", *broke), ("retried", *broke), ("failed", *broke)]


def test_an_attempt_that_helps_ends_the_step_as_done(bench: Bench) -> None:
    """The function sees which attempt it is; the errors before it stay with their attempts alone."""

    def second(run: Any) -> int:
        if run.attempt < 2:
            raise ConnectionError("not yet")
        return int(run.attempt)

    declare_graph(bench, Python("work", second), retry=Retry(5, **SOON))
    run = ran(bench)
    assert (run.state, run.error, value(bench, run.id, "work")) == (RunState.SUCCEEDED, None, 2)
    assert error(bench, run.id, "work") == ""
    assert [state for state, _, _ in history(bench, run.id, "work")] == ["retried", "done"]


def test_only_the_errors_that_are_named_are_tried_again(bench: Bench, calls: Calls) -> None:
    """A step's own word goes before its pipeline's; an error that is not named ends it at once."""
    named = Retry(3, errors=(ConnectionError, CommandFailed), **SOON)
    declare_graph(
        bench,
        calls.failing("value", retry=named),
        calls.failing("connection", error=ConnectionResetError("reset")),
        bash("command", "exit 3"),
        retry=replace(named, times=1),
    )
    run = ran(bench)
    attempts = {name: len(history(bench, run.id, name)) for name in ("value", "connection", "command")}
    assert attempts == {"value": 1, "connection": 2, "command": 2}


def test_the_wait_stands_in_the_ledger(bench: Bench, calls: Calls) -> None:
    """The message has the same time. The sweeper waits until then, and for the time that a message may take."""
    declare_graph(bench, calls.failing("work", retry=Retry(1, base=timedelta(seconds=100))))
    run_id, _ = opened(bench)
    (message,) = execute_step(bench.parts(), run_id=run_id, step="work")
    assert isinstance(message, StepReady)
    assert 50 <= message.delay <= 100
    assert bench.value("SELECT wait_seconds FROM batchord.steps") == message.delay
    assert bench.ledger.runs.steps(run_id)[0].state == "ready"
    assert sweep(bench.parts(), older_than_seconds=0) == []
    passes(bench, message.delay + 30)
    assert sweep(bench.parts(), older_than_seconds=60) == []
    passes(bench, 31)
    assert sent_steps(sweep(bench.parts(), older_than_seconds=60)) == ["work"]
    assert sweep(bench.parts(), older_than_seconds=60) == []


def passes(bench: Bench, seconds: float) -> None:
    """Time passes since the steps were sent."""
    bench.sql("UPDATE batchord.steps SET sent_at = sent_at - make_interval(secs => %s)", seconds)


def test_a_long_wait_is_the_sweepers(bench: Bench, calls: Calls) -> None:
    """No message is on its way for it, so it is sent the moment it is due."""
    declare_graph(bench, calls.failing("work", retry=Retry(1, base=timedelta(hours=1), ceiling=timedelta(hours=1))))
    run_id, _ = opened(bench)
    (message,) = execute_step(bench.parts(), run_id=run_id, step="work")
    assert isinstance(message, StepReady)
    assert message.delay > LONGEST_DELAY
    passes(bench, message.delay - 60)
    assert sweep(bench.parts(), older_than_seconds=60) == []
    passes(bench, 61)
    (again,) = sweep(bench.parts(), older_than_seconds=60)
    assert again == replace(message, delay=0)
    assert bench.run_on(run_id, [again]).state is RunState.FAILED
    assert len(calls.made) == 2


def test_a_command_that_failed_of_itself_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    """Its end is known then. ``idempotent=`` only concerns lost workers."""
    mark = tmp_path / "mark"
    declare_graph(bench, bash("work", f"test -e {mark} || {{ touch {mark}; exit 1; }}", retry=Retry(1, **SOON)))
    run = ran(bench)
    assert run.state is RunState.SUCCEEDED, run.error


def test_a_function_that_leaves_as_scripts_do(bench: Bench) -> None:
    """sys.exit() and sys.exit(0) are a good end, anything else a failure; the worker stays in every case."""

    def leaving(code: Any) -> Any:
        def leave() -> None:
            raise SystemExit(code)

        return leave

    codes = {"none": None, "zero": 0, "one": 1, "minus": -1, "text": "no data"}
    declare_graph(bench, *(Python(name, leaving(code)) for name, code in codes.items()))
    run = ran(bench)
    good = {"none": "done", "zero": "done"}
    assert states(bench, run.id) == dict.fromkeys(codes, "failed") | good
    assert error(bench, run.id, "text") == "the function called sys.exit('no data')"


def test_a_run_that_is_cancelled_in_mid_step_stays_so(bench: Bench, calls: Calls) -> None:
    """Neither its return nor its failure changes the run; nothing behind it starts."""

    def cancelled(run: Any) -> str:
        cancel_run(bench.parts(), run_id=run.id, who="by Ada")
        return "too late"

    declare_graph(bench, Python("work", cancelled), calls.step("behind", "work"))
    run = ran(bench)
    assert (run.state, run.error, calls.made) == (RunState.CANCELLED, "cancelled by Ada", [])
    assert states(bench, run.id) == {"work": "failed", "behind": "failed"}
    assert history(bench, run.id, "work") == [("cancelled", "test:1", "cancelled by Ada")]


def test_a_command_ends_with_its_lease(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the worker learns that the run was cancelled, it ends the command."""
    declare_graph(bench, bash("work", "echo started; sleep 60"))
    run_id, _ = opened(bench)

    def cancelled(place: str) -> None:
        if place == "before-step-work:work":
            cancel_run(bench.parts(), run_id=run_id)

    monkeypatch.setattr(operators, "fault", cancelled)
    assert execute_step(bench.parts(lease_seconds=0.3), run_id=run_id, step="work") == []
    assert bench.ledger.runs.get(run_id).state is RunState.CANCELLED


def test_a_step_whose_file_is_gone_is_handed_back(bench: Bench, calls: Calls) -> None:
    """Another worker may know it, as in a deploy: it runs when it is there again."""
    declare_graph(bench, calls.step("work"))
    run_id, _ = opened(bench)
    known = dict(bench.catalog.pipelines)
    bench.catalog.pipelines.clear()
    messages = execute_step(bench.parts(), run_id=run_id, step="work")
    assert sent_steps(messages) == ["work"]
    ((state, _, said),) = history(bench, run_id, "work")
    assert state == "handed back"
    assert "There is no pipeline" in (said or "")
    bench.catalog.pipelines.update(known)
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED


def test_a_step_whose_file_stays_away_fails(bench: Bench, calls: Calls) -> None:
    """It has as many attempts as for any fault of the environment. Then its run ends and says so."""
    declare_graph(bench, calls.step("work"))
    run_id, messages = opened(bench)
    bench.catalog.pipelines.clear()
    run = bench.run_on(run_id, messages, max_attempts=3)
    assert run.state is RunState.FAILED
    assert "There is no pipeline" in (run.error or "")
    assert len(history(bench, run_id, "work")) == 3


def test_a_step_that_left_the_file_is_handed_back(bench: Bench, calls: Calls) -> None:
    """Its run holds it, this process does not know it; in the end the run says so."""
    declare_graph(bench, calls.step("work"), calls.step("left", "work"))
    run_id, messages = opened(bench)
    declare_graph(bench, Branch("other", lambda: "left"), calls.step("left", "other"))
    run = bench.run_on(run_id, messages, max_attempts=2)
    assert run.state is RunState.FAILED
    assert "has no step 'work' in this process" in error(bench, run_id, "work")


def test_nothing_is_begun_while_the_file_cannot_be_loaded(bench: Bench, calls: Calls) -> None:
    """No attempt goes better until somebody corrects it, so none is counted; then the run goes on."""
    declare_graph(bench, calls.step("work"))
    run_id, messages = opened(bench)
    known = dict(bench.catalog.pipelines)
    bench.catalog.pipelines.clear()
    bench.catalog.problems.append(Problem(file="graph.py", pipeline=None, what="line 1: ImportError"))
    for _ in range(10):
        with pytest.raises(UnknownPipeline):
            dispatch(bench.parts(), messages[0])
    assert history(bench, run_id, "work") == []
    bench.catalog.pipelines.update(known)
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
