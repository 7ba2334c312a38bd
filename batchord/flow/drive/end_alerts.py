"""What people are told of a run's end: that it failed, that it is partial, that all is well again."""

from typing import TYPE_CHECKING

from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.runs import RunState, StepState
from batchord.output.masking import mask

if TYPE_CHECKING:
    from batchord.ledger.locked_run import LockedRun

#: Characters of an error in a message; the whole of it is in the ledger.
_MOST_ERROR = 1500
#: An incident that a run's end begins.
RUNS = "runs"
#: Incidents that end with a run that succeeds.
_ENDED_BY_SUCCESS = (RUNS, AlertKind.RUN_TIME.value, AlertKind.SILENCE.value)


def tell_of_end(locked: "LockedRun", state: RunState, error: str | None) -> bool:
    """Keeps what is to be told of a run that is about to end so; whether there is anything."""
    if state is RunState.SUCCEEDED:
        return _tell_of_recovery(locked)
    failed = sum(step.state is StepState.FAILED for step in locked.steps)
    if not failed and any(step.state is StepState.CODE_CHANGED for step in locked.steps):
        return False  # an edit is no fault: the follow-up run that starts now takes the rest
    run = locked.run
    locked.open_incident(RUNS, f"run {run.id} ended as {state}")
    # The limit of rejections was told of already, and nothing else is wrong: one event, one alert.
    if failed == locked.alerts_kept(AlertKind.REJECTION_LIMIT):
        return True
    kind = AlertKind.RUN_PARTIAL if state is RunState.PARTIAL else AlertKind.RUN_FAILED
    return locked.alert(
        NewAlert(
            event=f"{kind}:{run.id}",
            kind=kind,
            pipeline=run.pipeline,
            run_id=run.id,
            title=f"{run.pipeline}: run {state}",
            message=f"Run {run.id} of {run.pipeline} ended as {state}.\n{said(error)}\n{look(run.id)}",
        )
    )


def said(error: str | None) -> str:
    """An error as it may be told: bounded, without secrets."""
    text = mask(error or "No error was recorded.")
    return text if len(text) <= _MOST_ERROR else f"{text[:_MOST_ERROR]} …"


def look(run_id: str) -> str:
    """Where to look closer."""
    return f"Look closer: batchord show {run_id}; batchord logs {run_id}"


def _tell_of_recovery(locked: "LockedRun") -> bool:
    run = locked.run
    ended = locked.close_incidents(_ENDED_BY_SUCCESS)
    if not ended:
        return False
    since = min(began for _, began in ended)
    return locked.alert(
        NewAlert(
            event=f"{AlertKind.RECOVERED}:{run.pipeline}:{since.isoformat()}",
            kind=AlertKind.RECOVERED,
            pipeline=run.pipeline,
            run_id=run.id,
            title=f"{run.pipeline}: recovered",
            message=f"Run {run.id} of {run.pipeline} succeeded, after problems since {since:%Y-%m-%d %H:%M:%S %Z}.",
        )
    )
