"""Which steps may start, which never can, and how a run ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.runs import RunState, Step, StepState, blocked_steps, ready_steps, state_at_end

_DONE, _FAILED, _SKIPPED, _PENDING = StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.PENDING


def _step(name: str, state: StepState, *after: str) -> Step:
    return Step(run_id="r", name=name, after=after, state=state, attempt=0, error=None)


@pytest.mark.parametrize(
    ("steps", "accounted", "state"),
    [
        ([_DONE], 0, RunState.SUCCEEDED),
        ([_DONE, _DONE], 10, RunState.SUCCEEDED),
        ([_DONE, _FAILED], 10, RunState.PARTIAL),
        ([_FAILED], 1, RunState.PARTIAL),
        ([_FAILED], 0, RunState.FAILED),
        ([_DONE, _FAILED, _SKIPPED], 0, RunState.FAILED),
        ([], 0, RunState.SUCCEEDED),
    ],
)
def test_a_run_ends_as_its_steps_did(steps: list[StepState], accounted: int, state: RunState) -> None:
    """Succeeded when all is done, partial when something was predicted all the same, else failed."""
    assert state_at_end(steps, accounted=accounted) is state


@pytest.mark.parametrize("state", RunState)
def test_only_queued_and_running_runs_go_on(state: RunState) -> None:
    """Everything else is over for good."""
    assert state.ended == (state not in {RunState.QUEUED, RunState.RUNNING})


def test_a_step_is_ready_once_all_before_it_are_done() -> None:
    """One that is at work or sent already is not sent again."""
    steps = [
        _step("a", _DONE),
        _step("b", StepState.RUNNING),
        _step("c", _PENDING, "a"),
        _step("d", _PENDING, "a", "b"),
        _step("e", _PENDING),
        _step("f", StepState.READY),
    ]

    assert ready_steps(steps) == ["c", "e"]


@pytest.mark.parametrize("state", [_FAILED, _SKIPPED])
def test_what_follows_a_lost_step_is_blocked_to_the_end_of_the_line(state: StepState) -> None:
    """Also when it is written in the opposite order, and when another way to it is open."""
    steps = [
        _step("d", _PENDING, "c"),
        _step("c", _PENDING, "b", "x"),
        _step("b", _PENDING, "a"),
        _step("a", state),
        _step("x", _DONE),
        _step("free", _PENDING, "x"),
    ]

    assert sorted(blocked_steps(steps)) == ["b", "c", "d"]
    assert ready_steps(steps) == ["free"]


@st.composite
def _graphs(draw: st.DrawFn) -> list[Step]:
    count = draw(st.integers(1, 7))
    steps = [
        _step(
            str(number),
            draw(st.sampled_from(StepState)),
            *draw(st.sets(st.sampled_from([str(other) for other in range(number)] or ["0"]))) if number else (),
        )
        for number in range(count)
    ]
    return draw(st.permutations(steps))


@given(_graphs())
def test_a_pending_step_is_ready_blocked_or_waits_for_one_that_is_under_way(steps: list[Step]) -> None:
    """So a run that has nothing ready, nothing blocked and nothing under way is over: it cannot stand still."""
    ready, blocked = set(ready_steps(steps)), set(blocked_steps(steps))
    states = {step.name: step.state for step in steps}

    assert not ready & blocked
    for step in steps:
        if step.state is not _PENDING:
            assert step.name not in ready | blocked
        elif step.name not in ready | blocked:
            assert any(states[name] not in (_DONE, _FAILED, _SKIPPED) for name in step.after)
