"""Steps whose worker is lost: taken over, unless they must not run twice."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batchord import Python
from batchord.core.declared.retries import Retry
from batchord.core.errors import LeaseLost
from batchord.core.reasons import LossCause
from batchord.core.run.leases import StepLease
from batchord.core.run.runs import RunState
from batchord.flow.parts import Parts
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
    states,
    value,
)

SOON = {"base": timedelta(0)}
VANISHED = "lost: the worker vanished"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.fixture
def calls() -> Calls:
    """What was called in this test."""
    return Calls()


def other(bench: Bench, **settings: Any) -> Parts:
    """The parts of a second worker."""
    return replace(bench.parts(**settings), worker="test:2")


def dies_over(bench: Bench, run_id: str, step: str = "work", *, begun: bool = False) -> StepLease:
    """A worker that claims the step, and vanishes; ``begun``: in the middle of it."""
    lease = bench.ledger.runs.claim_step(run_id, step, lease_seconds=60, worker="dead:1")
    assert lease is not None
    if begun:
        assert bench.ledger.runs.begin_step(lease)
    bench.expire_leases()
    return lease


def ended_by_time(bench: Bench, run_id: str) -> None:
    """A worker whose process the time limit ends over the step."""
    assert bench.ledger.runs.claim_step(run_id, "work", lease_seconds=60, worker="slow:1") is not None
    error = "lost: time limit of 3600 s exceeded"
    assert bench.ledger.runs.lose_step(run_id, "work", worker="slow:1", cause=LossCause.OUT_OF_TIME, error=error)


def test_a_second_message_for_a_step_does_nothing(bench: Bench, calls: Calls) -> None:
    """While another worker is at it, and when it is done."""

    def doubled() -> None:
        calls.made.append("work")
        assert execute_step(other(bench), run_id=run_id, step="work") == []

    declare_graph(bench, Python("work", doubled))
    run_id, _ = opened(bench)
    execute_step(bench.parts(), run_id=run_id, step="work")
    assert execute_step(other(bench), run_id=run_id, step="work") == []
    assert calls.made == ["work"]
    assert len(history(bench, run_id, "work")) == 1


@pytest.mark.parametrize("begun", [False, True])
def test_a_step_whose_worker_vanished_is_taken_over(bench: Bench, calls: Calls, begun: bool) -> None:  # noqa: FBT001
    """The sweeper finds it once the lease has run out. A step may run twice unless it is declared otherwise."""
    declare_graph(bench, calls.step("work"))
    run_id, _ = opened(bench)
    dies_over(bench, run_id, begun=begun)
    bench.sql("UPDATE batchord.steps SET sent_at = sent_at - interval '2 minutes'")
    run = bench.run_on(run_id, sweep(bench.parts()))
    assert (run.state, calls.made) == (RunState.SUCCEEDED, ["work"])
    assert history(bench, run_id, "work") == [("lost", "dead:1", VANISHED), ("done", "test:1", None)]


@pytest.mark.parametrize("kind", ["python", "bash"])
def test_what_must_not_run_twice_is_not_run_again(bench: Bench, calls: Calls, kind: str) -> None:
    """Its worker vanished in the middle. Only a person can find out what it did; the error says how to continue."""
    step = calls.step("work", idempotent=False) if kind == "python" else bash("work", "exit 0")
    declare_graph(bench, step, calls.step("behind", "work"), retry=Retry(5, **SOON))
    run_id, messages = opened(bench)
    dies_over(bench, run_id, begun=True)
    run = bench.run_on(run_id, messages)
    assert (run.state, calls.made) == (RunState.FAILED, [])
    assert f"`batchord rerun {run_id} --from work`" in error(bench, run_id, "work")
    assert [state for state, _, _ in history(bench, run_id, "work")] == ["lost", "failed"]


@pytest.mark.parametrize("kind", ["python", "bash"])
def test_what_had_not_begun_runs_again(bench: Bench, calls: Calls, kind: str) -> None:
    """Its worker vanished after the claim and before the work: nothing was done yet."""
    step = calls.step("work", idempotent=False) if kind == "python" else bash("work", "exit 0")
    declare_graph(bench, step)
    run_id, messages = opened(bench)
    dies_over(bench, run_id)
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED


def test_a_command_that_may_run_twice_does(bench: Bench) -> None:
    """With idempotent=True."""
    declare_graph(bench, bash("work", "echo again", idempotent=True))
    run_id, messages = opened(bench)
    dies_over(bench, run_id, begun=True)
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    assert value(bench, run_id, "work")["last_line"] == "again"


def test_a_step_that_loses_every_worker_is_given_up(bench: Bench, calls: Calls) -> None:
    """After so many losses as the settings bear; the author's Retry does not speak of them."""
    declare_graph(bench, calls.step("work"), retry=Retry(9, **SOON))
    run_id, messages = opened(bench)
    for _ in range(3):
        dies_over(bench, run_id)
    run = bench.run_on(run_id, messages, max_attempts=3)
    assert (run.state, calls.made) == (RunState.FAILED, [])
    assert "the step lost its worker in 3 attempts" in error(bench, run_id, "work")


def test_losses_and_errors_are_counted_apart(bench: Bench, calls: Calls) -> None:
    """A loss takes no attempt from the author's Retry, and many failed attempts do not make one loss too many."""
    declare_graph(bench, calls.failing("work", retry=Retry(3, **SOON)))
    run_id, messages = opened(bench)
    parts = bench.parts(max_attempts=2)
    for _ in range(3):
        messages = execute_step(parts, run_id=run_id, step="work")
    dies_over(bench, run_id)
    bench.run_on(run_id, messages, max_attempts=2)
    assert [state for state, _, _ in history(bench, run_id, "work")] == ["retried"] * 3 + ["lost", "failed"]
    assert (error(bench, run_id, "work"), len(calls.made)) == ("ValueError: it broke", 4)


@pytest.mark.parametrize(("times", "expected"), [(0, "failed"), (1, "done")])
def test_a_time_limit_is_an_error_of_the_step(bench: Bench, calls: Calls, times: int, expected: str) -> None:
    """The pool ended its process: it is tried again if Retry allows that."""
    declare_graph(bench, calls.step("work", retry=Retry(times, **SOON)))
    run_id, messages = opened(bench)
    ended_by_time(bench, run_id)
    bench.run_on(run_id, messages)
    assert states(bench, run_id) == {"work": expected}
    assert [state for state, _, _ in history(bench, run_id, "work")] == ["lost", expected]
    if expected == "failed":
        assert "time limit of 3600 s" in error(bench, run_id, "work")


def test_a_time_limit_that_the_file_no_longer_has(bench: Bench, calls: Calls) -> None:
    """What the message carried counts; the file may have changed since."""
    declare_graph(bench, calls.step("work"))
    run_id, messages = opened(bench)
    ended_by_time(bench, run_id)
    declare_graph(bench, calls.step("work", time_limit=None))
    bench.run_on(run_id, messages)
    assert "time limit of 3600 s" in error(bench, run_id, "work")


def test_time_limits_use_up_the_authors_attempts(bench: Bench, calls: Calls) -> None:
    """With Retry(1) the second one is the last."""
    declare_graph(bench, calls.step("work", retry=Retry(1, **SOON)))
    run_id, messages = opened(bench)
    ended_by_time(bench, run_id)
    ended_by_time(bench, run_id)
    assert bench.run_on(run_id, messages).state is RunState.FAILED
    assert calls.made == []


def test_a_worker_that_was_overtaken_cannot_end_the_step(bench: Bench, calls: Calls) -> None:
    """It cannot end it as done or failed or ask for another attempt: only the new owner decides."""
    leases: list[StepLease | None] = []

    def slow(run: Any) -> str:
        bench.expire_leases()
        leases.append(bench.ledger.runs.claim_step(run.id, "work", lease_seconds=60, worker="other:2"))
        if len(leases) < 3:
            raise ValueError(f"attempt {run.attempt}")
        return "the old worker's"

    declare_graph(bench, Python("work", slow, retry=Retry(1, **SOON)), calls.step("behind", "work"))
    run_id, _ = opened(bench)
    for _ in range(3):
        bench.expire_leases()
        assert execute_step(bench.parts(), run_id=run_id, step="work") == []
        assert states(bench, run_id) == {"work": "running", "behind": "pending"}
    assert value(bench, run_id, "work") is None
    assert [worker for _, worker, _ in history(bench, run_id, "work")] == ["test:1", "other:2"] * 3


def test_a_worker_that_lost_its_lease_before_the_work_does_not_begin(
    bench: Bench, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the work must not be done twice the ledger is asked once more right before it."""

    def overtaken(*_: Any) -> Any:
        bench.expire_leases()
        bench.ledger.runs.claim_step(run_id, "work", lease_seconds=60, worker="other:2")
        return real(*_)

    declare_graph(bench, calls.step("work", idempotent=False))
    run_id, _ = opened(bench)
    real = bench.ledger.runs.begin_step
    monkeypatch.setattr(bench.ledger.runs, "begin_step", overtaken)
    assert execute_step(bench.parts(), run_id=run_id, step="work") == []
    assert calls.made == []


def test_a_worker_that_is_ended_in_a_function_blames_nobody(bench: Bench) -> None:
    """A signal that ends a pool's process also raises SystemExit. The step does not fail; it is taken over."""

    def stopped(run: Any) -> None:
        if run.attempt == 1:
            raise SystemExit(-(256 - 3))  # as billiard does for SIGQUIT

    declare_graph(bench, Python("work", stopped))
    run_id, messages = opened(bench)
    with pytest.raises(SystemExit):
        execute_step(bench.parts(), run_id=run_id, step="work")
    assert states(bench, run_id) == {"work": "running"}
    assert bench.ledger.runs.lose_step(run_id, "work", worker="test:1", cause=LossCause.STOPPED, error="handed back")
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED


@pytest.mark.parametrize(("begun", "expected"), [(False, "done"), (True, "failed")])
def test_what_is_handed_back_at_a_shutdown_is_no_loss(
    bench: Bench,
    begun: bool,  # noqa: FBT001
    expected: str,
) -> None:
    """Except if the worker had started a step that must not run twice."""
    declare_graph(bench, bash("work", "exit 0"))
    run_id, messages = opened(bench)
    for _ in range(1 if begun else 3):
        lease = bench.ledger.runs.claim_step(run_id, "work", lease_seconds=60, worker="told:1", sharded=False)
        assert lease is not None
        assert not begun or bench.ledger.runs.begin_step(lease)
        assert bench.ledger.runs.lose_step(
            run_id, "work", worker="told:1", cause=LossCause.STOPPED, error="told to stop", loss=False
        )
    bench.run_on(run_id, messages, max_attempts=3)
    ends = [state for state, _, _ in history(bench, run_id, "work")]
    assert ends == (["lost", expected] if begun else ["handed back"] * 3 + [expected])


def test_an_attempt_keeps_the_time_of_its_loss(bench: Bench, calls: Calls) -> None:
    """Whoever takes the step over later does not change when the one before ended."""
    declare_graph(bench, calls.step("work", retry=Retry(1, **SOON)))
    run_id, messages = opened(bench)
    ended_by_time(bench, run_id)
    query = "SELECT finished_at FROM batchord.attempts WHERE attempt = 1"
    before = bench.sql(query)
    bench.run_on(run_id, messages)
    assert bench.sql(query) == before


def test_a_lease_lost_in_the_ledger_is_no_failure(bench: Bench) -> None:
    """Whatever raises LeaseLost inside, the step is left to its new owner."""

    def lost() -> None:
        raise LeaseLost("somebody else's")

    declare_graph(bench, Python("work", lost))
    run_id, _ = opened(bench)
    assert execute_step(bench.parts(), run_id=run_id, step="work") == []
    assert states(bench, run_id) == {"work": "running"}
