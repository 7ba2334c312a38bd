"""How a task ends when its shard, step or run has failed."""

from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisAway

from batchord.core.errors import WorkFailed
from batchord.core.run.runs import RunState, StepState
from workers import failures

_CHORD = {"task": "batchord.finish_step"}


class _Backend:
    """Notes what is counted."""

    def __init__(self, *, away: bool = False) -> None:
        self.counted: list[tuple[Any, str, int]] = []
        self._away = away

    def on_chord_part_return(self, request: Any, state: str, result: int) -> None:
        if self._away:
            raise RedisAway("gone")
        self.counted.append((request.chord, state, result))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The answers of the ledger."""
    answers = SimpleNamespace(
        shard=None, steps=[], run=SimpleNamespace(state=RunState.RUNNING, pipeline="p", error=None)
    )
    ledger = SimpleNamespace(
        shards=SimpleNamespace(failure=lambda *_: answers.shard),
        runs=SimpleNamespace(steps=lambda _: answers.steps, get=lambda _: answers.run),
    )
    monkeypatch.setattr(failures, "parts", lambda: SimpleNamespace(ledger=ledger))
    return answers


def _task(backend: _Backend, chord: Any = _CHORD) -> Any:
    return SimpleNamespace(backend=backend, request=SimpleNamespace(chord=chord))


def test_the_part_of_a_failed_shard_counts_once_and_as_any_other(answers: SimpleNamespace) -> None:
    """Celery finds no chord any more when the error comes, and so counts no failure."""
    answers.shard = "the model is broken"
    task = _task(backend := _Backend())

    with pytest.raises(WorkFailed, match=r"Shard 3 of step s in run r failed: the model is broken"):
        failures.fail_with_shard(task, "r", "s", 3)

    assert backend.counted == [(_CHORD, "SUCCESS", 3)]
    assert task.request.chord is None


def test_a_shard_that_has_not_failed_is_left_to_celery(answers: SimpleNamespace) -> None:
    """Which counts its part when the task returns."""
    task = _task(backend := _Backend())

    failures.fail_with_shard(task, "r", "s", 3)

    assert answers.shard is None
    assert backend.counted == []
    assert task.request.chord == _CHORD


def test_a_shard_that_was_sent_alone_has_no_part(answers: SimpleNamespace) -> None:
    """As by hand."""
    answers.shard = "broken"
    task = _task(backend := _Backend(), chord=None)

    with pytest.raises(WorkFailed):
        failures.fail_with_shard(task, "r", "s", 0)
    assert backend.counted == []


def test_a_part_that_cannot_be_counted_is_left_to_the_sweeper(answers: SimpleNamespace) -> None:
    """It must not count as failed either: that would end the chord without its body."""
    answers.shard = "broken"
    task = _task(_Backend(away=True))

    with pytest.raises(WorkFailed):
        failures.fail_with_shard(task, "r", "s", 0)
    assert task.request.chord is None


@pytest.mark.parametrize("state", list(StepState))
def test_only_a_failed_step_fails_its_task(answers: SimpleNamespace, state: StepState) -> None:
    """Not a step that was skipped or that another worker has, and not a step beside the failed one."""
    answers.steps = [
        SimpleNamespace(name="other", state=StepState.FAILED, error="x"),
        SimpleNamespace(name="s", state=state, error="broken" * 1000),
    ]
    if state is not StepState.FAILED:
        failures.fail_with_step("r", "s")
        return
    with pytest.raises(WorkFailed, match="Step s of run r failed: broken") as raised:
        failures.fail_with_step("r", "s")
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("state", list(RunState))
def test_only_a_run_that_failed_fails_its_task(answers: SimpleNamespace, state: RunState) -> None:
    """A partly failed run as well. A run that a person cancelled did not fail."""
    answers.run = SimpleNamespace(state=state, pipeline="p", error="broken")
    if state not in (RunState.FAILED, RunState.PARTIAL):
        failures.fail_with_run("r")
        return
    with pytest.raises(WorkFailed, match=f"Run r of p ended as {state}: broken"):
        failures.fail_with_run("r")
