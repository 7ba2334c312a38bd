"""The only driver of a run. Under the run's row lock, it decides what can start and returns the messages to send.

Every step that ends calls it, and the sweeper calls it for a run that stands still.
"""

from typing import TYPE_CHECKING

from batchord.core.run.graph import moves
from batchord.core.run.messages import AlertsKept, BacklogLeft, Message, RunEnded, RunReady, step_ready
from batchord.core.run.runs import RunState, StepState, state_at_end
from batchord.core.run.summary import run_summary
from batchord.flow.drive.end_alerts import tell_of_end
from batchord.flow.parts import Parts

if TYPE_CHECKING:
    from batchord.ledger.locked_run import LockedRun


def advance(parts: Parts, *, run_id: str) -> list[Message]:
    """Starts what can start and ends what is over. Further calls change nothing."""
    with parts.ledger.runs.lock(run_id) as locked:
        return drive(locked)


def drive(locked: "LockedRun") -> list[Message]:
    """The same for a caller that holds the lock already."""
    if locked.run.state is RunState.QUEUED and not locked.start():
        return []
    if locked.run.state is not RunState.RUNNING:
        return []
    found = moves(locked.steps)
    for names, state in (
        (found.skipped, StepState.SKIPPED),
        (found.upstream_failed, StepState.UPSTREAM_FAILED),
        (found.ready, StepState.READY),
    ):
        if names:
            locked.set_steps(names, state)
    messages: list[Message] = [step_ready(step) for step in locked.steps if step.name in found.ready]
    if all(step.state.over for step in locked.steps):
        messages += _end(locked)
    return messages


def _end(locked: "LockedRun") -> list[Message]:
    run = locked.run
    state = state_at_end(locked.steps, predicted=run.predicted)
    errors = [f"step {step.name}: {step.error}" for step in locked.steps if step.error and step.state.over]
    error = "; ".join(errors) or None
    told = tell_of_end(locked, state, error)
    next_run = locked.end(state, run_summary(run, locked.outputs()), error)
    messages: list[Message] = [RunEnded(run_id=run.id, pipeline=run.pipeline, state=state)]
    if told:
        messages.append(AlertsKept())
    if any(step.backlog_left and step.state in (StepState.DONE, StepState.CODE_CHANGED) for step in locked.steps):
        messages.append(BacklogLeft(pipeline=run.pipeline, after_run=run.id))
    if next_run is not None:
        messages.append(RunReady(run_id=next_run))
    return messages
