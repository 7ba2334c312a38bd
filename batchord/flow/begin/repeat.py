"""Which steps a run repeats from an earlier run, and which it takes over as they ended there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from batchord.core.run.graph import downstream
from batchord.core.run.runs import NewStep, Step, StepState

FAILED = (StepState.FAILED, StepState.CODE_CHANGED, StepState.UPSTREAM_FAILED)


def with_followers(steps: Sequence[NewStep], before: Mapping[str, Step], chosen: set[str]) -> set[str]:
    """The chosen steps, all steps after them, and the steps that did not end in the earlier run."""
    after = {step.name: step.after for step in steps}
    wanted = chosen | downstream(after, chosen)
    return wanted | {name for name in after if name not in before or not before[name].state.over}


def reused(step: NewStep, before: Mapping[str, Step]) -> NewStep:
    """The step as it ended in the earlier run, so that it is not repeated."""
    old = before[step.name]
    return replace(step, state=old.state, output=old.output or {}, error=old.error)


def after_an_edit(steps: Sequence[NewStep], before: Mapping[str, Step]) -> tuple[NewStep, ...]:
    """The steps of the run that continues after an edit. Steps that are done, such as commands, are not repeated."""
    left = {name for name, step in before.items() if step.state in FAILED or step.backlog_left}
    again = with_followers(steps, before, left & {step.name for step in steps})
    return tuple(step if step.name in again else reused(step, before) for step in steps)
