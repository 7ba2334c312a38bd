"""What a task publishes when it has done its work."""

from types import SimpleNamespace
from typing import Any

import pytest

from batchord.core.errors import TransientError, UnknownPipeline
from batchord.core.run.messages import Message, RunReady, ShardsReady, StepEnded, StepReady
from workers import tasks

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
    monkeypatch.setattr(tasks, "dispatch", flow.dispatch)
    monkeypatch.setattr(tasks, "publish", flow.published.extend)
    monkeypatch.setattr(tasks, "parts", lambda: None)
    monkeypatch.setattr(tasks, "replace", lambda *_, **__: None)
    monkeypatch.setattr(tasks, "current_task", SimpleNamespace(request=SimpleNamespace(id="task")))
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
