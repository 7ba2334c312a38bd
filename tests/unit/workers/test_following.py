"""What a task publishes when it has done its work."""

from threading import BoundedSemaphore
from types import SimpleNamespace
from typing import Any

import pytest

from batchord.core.errors import TransientError, UnknownPipeline
from batchord.core.run.messages import (
    Message,
    RunEnded,
    RunReady,
    ShardReady,
    ShardsReady,
    StepEnded,
    StepReady,
)
from batchord.core.run.runs import RunState
from batchord.flow import dispatch
from workers import slots, tasks

_READY = StepReady(run_id="r", step="s")
_ENDED = StepEnded(run_id="r", step="s")
_NEXT = RunReady(run_id="next")


class _Flow:
    """Answers each message with those that follow from it, or with an error."""

    def __init__(self, **answers: list[Message] | Exception) -> None:
        self._answers = answers
        self.done: list[Message] = []
        self.published: list[Message] = []

    def dispatch(self, _parts: Any, message: Message, **_: Any) -> list[Message]:
        self.done.append(message)
        answer = self._answers[type(message).__name__]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _flow(monkeypatch: pytest.MonkeyPatch, **answers: list[Message] | Exception) -> _Flow:
    flow = _Flow(**answers)
    monkeypatch.setattr(dispatch, "dispatch", flow.dispatch)
    monkeypatch.setattr(tasks, "publish", flow.published.extend)
    monkeypatch.setattr(tasks, "_task_parts", lambda: SimpleNamespace(settings=SimpleNamespace(retry_base_seconds=2.0)))
    return flow


def test_a_plan_without_shards_is_ended_by_its_planner(monkeypatch: pytest.MonkeyPatch) -> None:
    """It publishes what follows from the end."""
    flow = _flow(monkeypatch, StepReady=[_ENDED], StepEnded=[_NEXT])
    tasks.work_off(_READY)
    assert flow.done == [_READY, _ENDED]
    assert flow.published == [_NEXT]


@pytest.mark.parametrize("error", [TransientError("the database restarts"), UnknownPipeline("notes")])
def test_an_end_that_must_wait_goes_by_message(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The plan is committed: another attempt of it would find nothing to do, and the end would wait for the sweeper."""
    flow = _flow(monkeypatch, StepReady=[_ENDED], StepEnded=error)
    tasks.work_off(_READY)
    assert flow.published == [_ENDED]


def test_shards_go_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an end is done in place."""
    shards = ShardsReady(run_id="r", step="s", queue="table", indexes=(0, 1))
    flow = _flow(monkeypatch, StepReady=[shards])
    tasks.work_off(_READY)
    assert flow.done == [_READY]
    assert flow.published == [shards]


def test_the_only_shard_of_a_step_is_followed_by_the_end_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """No chord counts it, and the process that has predicted it is there."""
    shard = ShardReady(run_id="r", step="s", index=0, alone=True)
    flow = _flow(monkeypatch, ShardReady=[_ENDED], StepEnded=[_NEXT])
    tasks.work_off(shard)
    assert flow.done == [shard, _ENDED]
    assert flow.published == [_NEXT]


class _Asked:
    """Notes of which steps the ledger is asked whether they have failed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        monkeypatch.setattr(tasks, "fail_with_step", lambda _run, step: self.steps.append(step))


def test_the_process_of_a_tick_plans_the_only_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else there is to tell is published first. Nothing has failed if there are shards."""
    shards = ShardsReady(run_id="r", step="s", queue="table", indexes=(0, 1))
    flow, asked = _flow(monkeypatch, StepReady=[shards]), _Asked(monkeypatch)
    tasks.publish_or_plan([_NEXT, _READY])
    assert flow.done == [_READY]
    assert flow.published == [_NEXT, shards]
    assert asked.steps == []


def test_the_process_of_a_tick_ends_a_run_that_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process has anything to do with it."""
    ended = RunEnded(run_id="r", pipeline="p", state=RunState.SUCCEEDED)
    flow, asked = _flow(monkeypatch, StepReady=[_ENDED], StepEnded=[ended]), _Asked(monkeypatch)
    tasks.publish_or_plan([_READY])
    assert flow.published == [ended]
    assert asked.steps == []


@pytest.mark.parametrize("following", [[], [RunEnded(run_id="r", pipeline="p", state=RunState.FAILED)]])
def test_a_tick_whose_plan_failed_fails(monkeypatch: pytest.MonkeyPatch, following: list[Message]) -> None:
    """The ledger says whether it did: another process may have taken the step over."""
    flow, asked = _flow(monkeypatch, StepReady=following), _Asked(monkeypatch)
    tasks.publish_or_plan([_READY])
    assert flow.published == following
    assert asked.steps == ["s"]


def test_a_plan_that_must_wait_goes_by_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick itself is done: its run is open."""
    flow, _ = _flow(monkeypatch, StepReady=TransientError("the database restarts")), _Asked(monkeypatch)
    tasks.publish_or_plan([_READY])
    assert flow.published == [StepReady(run_id="r", step="s", delay=2.0)]


def test_several_steps_go_by_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes plan them at the same time. A step that is executed has workers of its own."""
    flow = _flow(monkeypatch)
    several = [_READY, StepReady(run_id="r", step="t")]
    executed = StepReady(run_id="r", step="u", sharded=False)
    tasks.publish_or_plan(several)
    tasks.publish_or_plan([executed])
    assert flow.done == []
    assert flow.published == [*several, executed]


def test_without_a_slot_the_step_goes_by_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads that may read sources do so: a hanging source holds up no tick."""
    flow = _flow(monkeypatch)
    monkeypatch.setattr(slots, "_slots", [BoundedSemaphore(1)])
    with slots.free_slot() as is_free:
        assert is_free
        tasks.publish_or_plan([_READY])
    assert flow.published == [_READY]
