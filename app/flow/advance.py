"""The only driver of a run: under the run's row lock it sees what is ready, and says what to send.

Every step that ends calls it, and the sweeper calls it for a run that stands still.
"""

from app.core.ledger import LockedRun
from app.core.messages import BacklogLeft, Message, RunReady, StepReady
from app.core.runs import RunState, StepState, blocked_steps, ready_steps, state_at_end
from app.core.summary import run_summary
from app.flow.parts import Parts

_OVER = (StepState.DONE, StepState.FAILED, StepState.SKIPPED)


def advance(parts: Parts, *, run_id: str) -> list[Message]:
    """Starts what can start and ends what is over; calling it too often changes nothing."""
    with parts.ledger.runs.lock(run_id) as locked:
        return drive(locked)


def drive(locked: LockedRun) -> list[Message]:
    """The same for a caller that holds the lock already."""
    if locked.run.state is RunState.QUEUED and not locked.start():
        return []
    if locked.run.state is not RunState.RUNNING:
        return []
    if blocked := blocked_steps(locked.steps):
        locked.set_steps(blocked, StepState.SKIPPED)
    if ready := ready_steps(locked.steps):
        locked.set_steps(ready, StepState.READY)
    messages: list[Message] = [StepReady(run_id=locked.run.id, step=name) for name in ready]
    if all(step.state in _OVER for step in locked.steps):
        messages += _end(locked)
    return messages


def _end(locked: LockedRun) -> list[Message]:
    run = locked.run
    state = state_at_end([step.state for step in locked.steps], accounted=run.predicted + run.rejected)
    if state is RunState.FAILED or state is RunState.PARTIAL:
        locked.alert(f"run-{state}:{run.id}", f"Run {run.id} of {run.pipeline} ended as {state}.")
    errors = [f"step {step.name}: {step.error}" for step in locked.steps if step.error]
    next_run = locked.end(state, run_summary(run, locked.outputs()), "; ".join(errors) or None)
    messages: list[Message] = []
    if any(step.backlog_left and step.state is StepState.DONE for step in locked.steps):
        messages.append(BacklogLeft(pipeline=run.pipeline, after_run=run.id))
    if next_run is not None:
        messages.append(RunReady(run_id=next_run))
    return messages
