"""A run that has ended is taken up again: all of it, from a step on, or what failed.

As a new run, in the place of the old one: its slot's window, its parameters. What is not to be repeated counts as
done in it, with what it came to then. Opening the old run again was rejected: what it was, and what was told of it,
would be lost.
"""

from dataclasses import replace

from batchord.core.errors import ConfigurationError
from batchord.core.run.graph import moves, upstream
from batchord.core.run.history import Actor
from batchord.core.run.messages import Message
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
    """Opens a run that repeats ``run_id``: from a step on, or those that failed and what is behind them, or all.

    ``actor``: who is noted for it. Raises ConfigurationError when there is no such run or step, when it has not ended,
    nothing of it failed, or the step cannot run after what became of those before it.
    """
    old = parts.ledger.runs.get(run_id)
    declared = parts.catalog.get(old.pipeline)
    if not old.state.ended:
        raise ConfigurationError(
            f"Run {run_id} is {old.state}. Wait for its end, or end it with `batchord cancel {run_id}`."
        )
    before = {step.name: step for step in parts.ledger.runs.steps(run_id)}
    again = _again(declared.new_steps(), before, run_id=run_id, from_step=from_step, failed=failed)
    steps = tuple(step if step.name in again else reused(step, before) for step in declared.new_steps())
    if from_step is not None:
        _refuse_what_cannot_run(steps, from_step, run_id=run_id)
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


def _again(
    steps: tuple[NewStep, ...], before: dict[str, Step], *, run_id: str, from_step: str | None, failed: bool
) -> set[str]:
    """Names of the steps that are to run."""
    after = {step.name: step.after for step in steps}
    if from_step is not None:
        if from_step not in after:
            raise ConfigurationError(f"There is no step {from_step!r}; there are: {', '.join(after)}.")
        chosen = {from_step}
    elif failed:
        # A step that was stopped by a failure may no longer stand behind it in the file.
        chosen = {name for name in after if name not in before or before[name].state in FAILED}
        if not chosen:
            raise ConfigurationError(f"No step of run {run_id} failed. To repeat the whole run, leave out --failed.")
    else:
        return set(after)
    return with_followers(steps, before, chosen)


def _refuse_what_cannot_run(steps: tuple[NewStep, ...], name: str, *, run_id: str) -> None:
    """Raises when the step would end before it began, for what is taken over of the steps before it."""
    found = moves([_as_known(step) for step in steps])
    if name not in (*found.upstream_failed, *found.skipped):
        return
    before = upstream({step.name: step.after for step in steps}, name)
    mine = [step for step in steps if step.name in before]
    if name in found.upstream_failed:
        causes, why = [step for step in mine if step.state is StepState.FAILED], "failed"
        more = ", or repeat all failed steps with `--failed`"
    else:
        left = {name, *(step.name for step in mine if step.state is StepState.SKIPPED)}
        ways = {each for step in steps if step.name in left for each in step.after}
        causes, why = [step for step in mine if _as_known(step).chose and step.name in ways], "chose another way"
        more = ""
    # The step that is to blame may have gone from the file.
    causes = causes or [step for step in mine if step.state.over]
    raise ConfigurationError(
        f"Step {name} of run {run_id} cannot be repeated alone: {', '.join(each.name for each in causes)} before it "
        f"{why}. Start there with `batchord rerun {run_id} --from {causes[0].name}`{more}."
    )


def _as_known(step: NewStep) -> Step:
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
