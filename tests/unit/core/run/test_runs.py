"""When runs and steps are over."""

import pytest

from batchord.core.run.runs import RunState, StepState


@pytest.mark.parametrize("state", RunState)
def test_only_queued_and_running_runs_go_on(state: RunState) -> None:
    """Everything else is over for good."""
    assert state.ended == (state not in {RunState.QUEUED, RunState.RUNNING})


@pytest.mark.parametrize("state", StepState)
def test_five_states_of_a_step_are_its_end(state: StepState) -> None:
    """In all other states the step can still change."""
    ends = {StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.UPSTREAM_FAILED, StepState.CODE_CHANGED}
    assert state.over == (state in ends)
