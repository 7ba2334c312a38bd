"""Keeps the alerts about a run's end: it failed, it is partial, or the pipeline has recovered."""

from typing import TYPE_CHECKING

from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.runs import RunState, StepState
from batchord.output.masking import mask

if TYPE_CHECKING:
    from batchord.ledger.locked_run import LockedRun

#: The most characters of an error in an alert. The ledger has more of it.
_MOST_ERROR = 1500
#: The kind of incident that begins with a run that does not succeed.
RUNS = "runs"
#: The kinds of incidents that end with a run that succeeds.
_ENDED_BY_SUCCESS = (RUNS, AlertKind.RUN_TIME.value, AlertKind.SILENCE.value)


def tell_of_end(locked: "LockedRun", state: RunState, error: str | None) -> bool:
    """Keeps the alert for a run that is about to end in ``state``. Returns whether an alert is to be sent."""
    if state is RunState.SUCCEEDED:
        return _tell_of_recovery(locked)
    failed = sum(step.state is StepState.FAILED for step in locked.steps)
    if not failed and any(step.state is StepState.CODE_CHANGED for step in locked.steps):
        return False  # after an edit nothing is wrong: the follow-up run that starts now takes the rest
    run = locked.run
    locked.open_incident(RUNS, f"run {run.id} ended as {state}")
    # There is an alert about too many rejections already. If nothing else is wrong, it is enough.
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
    """The error for an alert: shortened, without secrets."""
    text = mask(error or "No error was recorded.")
    return text if len(text) <= _MOST_ERROR else f"{text[:_MOST_ERROR]} …"


def look(run_id: str) -> str:
    """The line that says where to look closer."""
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
