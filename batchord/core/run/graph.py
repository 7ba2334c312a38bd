"""How a run moves through its graph of steps: pure functions of the steps' states.

The rules for a step, once all steps of its ``after`` are over:

- ``all_done_ok``: the step runs if none of them failed and at least one is done. If one failed, or is itself
  ``upstream_failed``, the step becomes ``upstream_failed``. If all were skipped, the step is skipped.
- ``always``: the step runs.

A failure makes the steps behind it ``upstream_failed`` at once, even if they wait for other steps, too. When a branch
is done, the steps right after it that it did not choose are skipped, unless a chosen step leads to them or their join
is ``always``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from batchord.core.run.runs import CHOSEN, Step, StepState

_FAILED = (StepState.FAILED, StepState.CODE_CHANGED, StepState.UPSTREAM_FAILED)


@dataclass(frozen=True, kw_only=True)
class Moves:
    """The new states of pending steps."""

    ready: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    upstream_failed: list[str] = field(default_factory=list)


def moves(steps: Sequence[Step]) -> Moves:
    """The moves of all pending steps that can move now. The other pending steps have to wait."""
    states = {step.name: step.state for step in steps}
    not_chosen = _not_chosen(steps)
    # A skipped step may decide about the steps behind it. So repeat until nothing changes any more.
    changed = True
    while changed:
        changed = False
        for step in steps:
            if states[step.name] is not StepState.PENDING:
                continue
            state = _next_state(step, states, not_chosen=step.name in not_chosen)
            if state in (StepState.SKIPPED, StepState.UPSTREAM_FAILED):
                states[step.name], changed = state, True
    result = Moves()
    for step in steps:
        if step.state is not StepState.PENDING:
            continue
        state = states[step.name]
        if state is StepState.SKIPPED:
            result.skipped.append(step.name)
        elif state is StepState.UPSTREAM_FAILED:
            result.upstream_failed.append(step.name)
        elif _next_state(step, states, not_chosen=False) is StepState.READY:
            result.ready.append(step.name)
    return result


def _next_state(step: Step, states: Mapping[str, StepState], *, not_chosen: bool) -> StepState:
    # A step that is not in the run was left out on purpose, so no step waits for it.
    before = [states[name] for name in step.after if name in states]
    if step.join == "always":
        return StepState.READY if all(state.over for state in before) else StepState.PENDING
    if any(state in _FAILED for state in before):
        return StepState.UPSTREAM_FAILED
    if not all(state.over for state in before):
        return StepState.PENDING
    # Only once all are over. Otherwise chance would decide whether a failure among them makes it upstream_failed.
    if not_chosen:
        return StepState.SKIPPED
    if not before or StepState.DONE in before:
        return StepState.READY
    return StepState.SKIPPED


def _not_chosen(steps: Sequence[Step]) -> set[str]:
    """Steps right after a finished branch that the branch did not choose."""
    not_chosen: set[str] = set()
    after = {step.name: step.after for step in steps}
    for branch in steps:
        if branch.state is not StepState.DONE or not branch.chose:
            continue
        chosen = set((branch.output or {})[CHOSEN])
        wanted = chosen | downstream(after, chosen)
        not_chosen |= {step.name for step in steps if branch.name in step.after} - wanted
    return not_chosen


def downstream(after: Mapping[str, Iterable[str]], names: Iterable[str]) -> set[str]:
    """All steps behind ``names``, at any distance. ``after`` maps each step to the steps right before it."""
    steps_behind: set[str] = set()
    reached = set(names)
    while reached:
        reached = {name for name, before in after.items() if reached.intersection(before)} - steps_behind
        steps_behind |= reached
    return steps_behind


def upstream(after: Mapping[str, Iterable[str]], name: str) -> set[str]:
    """All steps before ``name``, at any distance."""
    steps_before: set[str] = set()
    reached = set(after.get(name, ()))
    while reached:
        steps_before |= reached
        reached = {before for step in reached for before in after.get(step, ())} - steps_before
    return steps_before


def cycle(after: Mapping[str, Iterable[str]]) -> list[str]:
    """The names of steps that wait for each other, sorted; empty if the graph has no cycle."""
    waiting = {name: set(before) & after.keys() for name, before in after.items()}
    while ready := [name for name, before in waiting.items() if not before & waiting.keys()]:
        for name in ready:
            del waiting[name]
    return sorted(waiting)
