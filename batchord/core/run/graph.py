"""What may go on in a run's graph of steps: pure functions of the steps' states.

The rules, for a step all of whose ``after`` are over:

- ``all_done_ok``: it runs when none of them failed and at least one is done. When one failed, or was itself stopped
  by a failure, it is ``upstream_failed``; when all were skipped it is skipped.
- ``always``: it runs.

A failure is told on at once, without waiting for what else the step waits for. A branch that is done skips those
steps right after it that it did not choose, unless a chosen one leads to them, or their join is ``always``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from batchord.core.run.runs import CHOSEN, RunState, Step, StepState

_FAILED = (StepState.FAILED, StepState.CODE_CHANGED, StepState.UPSTREAM_FAILED)


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What is to become of steps that are pending."""

    ready: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    upstream_failed: list[str] = field(default_factory=list)


def moves(steps: Sequence[Step]) -> Moves:
    """What can be said now of the pending steps; those not named have to wait."""
    states = {step.name: step.state for step in steps}
    passed_over = _passed_over(steps)
    # A step that is skipped decides over those behind it: until nothing changes any more.
    changed = True
    while changed:
        changed = False
        for step in steps:
            if states[step.name] is not StepState.PENDING:
                continue
            fate = _fate(step, states, passed_over=step.name in passed_over)
            if fate in (StepState.SKIPPED, StepState.UPSTREAM_FAILED):
                states[step.name], changed = fate, True
    found = Moves()
    for step in steps:
        if step.state is not StepState.PENDING:
            continue
        state = states[step.name]
        if state is StepState.SKIPPED:
            found.skipped.append(step.name)
        elif state is StepState.UPSTREAM_FAILED:
            found.upstream_failed.append(step.name)
        elif _fate(step, states, passed_over=False) is StepState.READY:
            found.ready.append(step.name)
    return found


def _fate(step: Step, states: Mapping[str, StepState], *, passed_over: bool) -> StepState:
    # A step that is not in the run was left out on purpose; nobody waits for it.
    before = [states[name] for name in step.after if name in states]
    if step.join == "always":
        return StepState.READY if all(state.over for state in before) else StepState.PENDING
    if any(state in _FAILED for state in before):
        return StepState.UPSTREAM_FAILED
    if not all(state.over for state in before):
        return StepState.PENDING
    # Not before all are over: else it would depend on who is faster whether a failure among them stops what follows.
    if passed_over:
        return StepState.SKIPPED
    if not before or StepState.DONE in before:
        return StepState.READY
    return StepState.SKIPPED


def _passed_over(steps: Sequence[Step]) -> set[str]:
    """Steps that a branch which is done did not choose."""
    found: set[str] = set()
    after = {step.name: step.after for step in steps}
    for branch in steps:
        if branch.state is not StepState.DONE or not branch.chose:
            continue
        chosen = set((branch.output or {})[CHOSEN])
        wanted = chosen | downstream(after, chosen)
        found |= {step.name for step in steps if branch.name in step.after} - wanted
    return found


def downstream(after: Mapping[str, Iterable[str]], names: Iterable[str]) -> set[str]:
    """Every step behind ``names``, however far; ``after`` gives for each step those right before it."""
    found: set[str] = set()
    reached = set(names)
    while reached:
        reached = {name for name, before in after.items() if reached.intersection(before)} - found
        found |= reached
    return found


def upstream(after: Mapping[str, Iterable[str]], name: str) -> set[str]:
    """Every step before ``name``, however far."""
    found: set[str] = set()
    reached = set(after.get(name, ()))
    while reached:
        found |= reached
        reached = {each for step in reached for each in after.get(step, ())} - found
    return found


def state_at_end(steps: Sequence[Step], *, predicted: int) -> RunState:
    """How a run ended whose steps are all over and that predicted so many records.

    Partial: nothing but predictions are missing, and some were made; the next run takes the rest. Or its code changed;
    then a follow-up run does.
    """
    failed = [step for step in steps if step.state is StepState.FAILED]
    if not failed:
        changed = any(step.state is StepState.CODE_CHANGED for step in steps)
        return RunState.PARTIAL if changed else RunState.SUCCEEDED
    if predicted and all(step.sharded for step in failed):
        return RunState.PARTIAL
    return RunState.FAILED


def cycle(after: Mapping[str, Iterable[str]]) -> list[str]:
    """Names that wait for each other, sorted; empty when the graph has an order."""
    waiting = {name: set(before) & after.keys() for name, before in after.items()}
    while ready := [name for name, before in waiting.items() if not before & waiting.keys()]:
        for name in ready:
            del waiting[name]
    return sorted(waiting)
