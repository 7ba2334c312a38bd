"""Repeats a run that has ended: all of it, from one step on, or the failed steps.

The repetition is a new run with the window and the parameters of the old one. Steps that are not repeated keep their
state and their output. Opening the old run again was rejected: its result would be lost, and alerts and reports about
it would no longer match.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from batchord.core.errors import ConfigurationError
from batchord.core.run.graph import moves, upstream
from batchord.core.run.history import Actor
from batchord.core.run.messages import Message
from batchord.core.run.run_ids import short_ids
from batchord.core.run.runs import Kind, NewStep, Run, Step, StepState
from batchord.flow.begin.repeat import FAILED, reused, with_followers
from batchord.flow.begin.start import new_run, open_run
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change


def rerun(
    parts: Parts,
    *,
    run_id: str,
    from_step: str | None = None,
    failed: bool = False,
    request: str | None = None,
    actor: Actor | None = None,
) -> tuple[Run, list[Message]]:
    """Opens a run that repeats ``run_id``: one step and those after it, the failed ones and those after them, or all.

    ``actor``: the person for the history. Raises ConfigurationError if there is no such run or step, if the run has not
    ended or no step failed, or if the step cannot run because of how the steps before it ended.
    """
    old = parts.ledger.runs.get(run_id)
    declared = parts.catalog.get(old.pipeline)
    named = partial(_named, parts, run_id)
    if not old.state.ended:
        raise ConfigurationError(
            f"Run {named()} is {old.state}. Wait for its end, or end it with `batchord cancel {named()}`."
        )
    resets = parts.ledger.resets.times(old.pipeline)
    # What a step wrote before its reset is gone, so its end cannot be taken over.
    gone = {step for step, reset_at in resets.items() if reset_at > old.created_at}
    before = {step.name: step for step in parts.ledger.runs.steps(run_id) if step.name not in gone}
    again = _again(declared.new_steps(), before, named, from_step=from_step, failed=failed)
    again |= with_followers(declared.new_steps(), before, gone & {step.name for step in declared.new_steps()})
    steps = tuple(step if step.name in again else reused(step, before) for step in declared.new_steps())
    if from_step is not None:
        _refuse_what_cannot_run(steps, from_step, named)
    detail = {"of": old.id, "from": from_step, "failed": failed or None}
    return open_run(
        parts,
        replace(
            new_run(declared, Kind.RERUN, "rerun"),
            window_start=old.window_start,
            window_end=old.window_end,
            params=old.params,
            request=request,
            steps=steps,
            full_scan=old.full_scan,
            rerun_of=old.id,
            change=change(parts, actor, "rerun", pipeline=declared.name, detail=detail),
        ),
    )


def _named(parts: Parts, run_id: str) -> str:
    """How people write the run's id."""
    return short_ids(parts.ledger.run_names, [run_id])[run_id]


def _again(
    steps: tuple[NewStep, ...],
    before: dict[str, Step],
    named: Callable[[], str],
    *,
    from_step: str | None,
    failed: bool,
) -> set[str]:
    """The names of the steps to repeat."""
    after = {step.name: step.after for step in steps}
    if from_step is not None:
        if from_step not in after:
            raise ConfigurationError(f"There is no step {from_step!r}; there are: {', '.join(after)}.")
        chosen = {from_step}
    elif failed:
        # In the edited file, a step that a failure stopped may no longer come after the failed step.
        chosen = {name for name in after if name not in before or before[name].state in FAILED}
        if not chosen:
            raise ConfigurationError(f"No step of run {named()} failed. To repeat the whole run, leave out --failed.")
    else:
        return set(after)
    return with_followers(steps, before, chosen)


def _refuse_what_cannot_run(steps: tuple[NewStep, ...], name: str, named: Callable[[], str]) -> None:
    """Raises if the step would be skipped or stopped at once, because of the states of the steps before it."""
    next_moves = moves([_as_step(step) for step in steps])
    if name not in (*next_moves.upstream_failed, *next_moves.skipped):
        return
    before = upstream({step.name: step.after for step in steps}, name)
    steps_before = [step for step in steps if step.name in before]
    if name in next_moves.upstream_failed:
        causes, why = [step for step in steps_before if step.state is StepState.FAILED], "failed"
        more = ", or repeat all failed steps with `--failed`"
    else:
        skipped = {name, *(step.name for step in steps_before if step.state is StepState.SKIPPED)}
        right_before = {right for step in steps if step.name in skipped for right in step.after}
        causes = [step for step in steps_before if _as_step(step).chose and step.name in right_before]
        why = "chose another way"
        more = ""
    # The step that caused this may be missing from the edited file.
    causes = causes or [step for step in steps_before if step.state.over]
    raise ConfigurationError(
        f"Step {name} of run {named()} cannot be repeated alone: {', '.join(step.name for step in causes)} before it "
        f"{why}. Start there with `batchord rerun {named()} --from {causes[0].name}`{more}."
    )


def _as_step(step: NewStep) -> Step:
    return Step(
        run_id="",
        name=step.name,
        after=step.after,
        state=step.state,
        attempt=0,
        error=None,
        kind=step.kind,
        join=step.join,
        output=step.output,
    )
