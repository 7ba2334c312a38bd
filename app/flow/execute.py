"""A step that is no Predict step is executed under a lease, as a shard is predicted under one.

A second message for it finds the lease and goes away. When its worker dies another takes it over, if it may run
twice. What it came to is written down together with its end.
"""

import logging
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from app.core.context import checked_output
from app.core.errors import (
    BatchordError,
    ConfigurationError,
    FinalStepError,
    LeaseLost,
    MayHaveRun,
    OutOfTime,
    TransientError,
    UnknownPipeline,
)
from app.core.faults import fault
from app.core.logs import AttemptName
from app.core.messages import Message, step_ready
from app.core.retries import NO_RETRY, Retry
from app.core.runs import StepLease, StepState
from app.core.steps import Task, retry_of, time_limit_seconds
from app.flow.advance import drive
from app.flow.attempt_log import AttemptLog
from app.flow.heartbeat import Heartbeat
from app.flow.operators import operate
from app.flow.parts import Parts

log = logging.getLogger(__name__)

#: What the ledger says of an attempt that was ended by the time limit; see workers/requests.py.
TIME_LIMIT = "time limit"
#: Errors that no retry= of an author speaks of.
_FINAL = (FinalStepError, ConfigurationError)


def execute_step(parts: Parts, *, run_id: str, step: str) -> list[Message]:
    """Executes a step that is ready; does nothing when another worker does or did.

    Raises TransientError only when the ledger does not answer; every other error is written down in it.
    """
    seconds = parts.settings.lease_seconds
    lease = parts.ledger.runs.claim_step(run_id, step, lease_seconds=seconds, worker=parts.worker)
    if lease is None:
        return []
    output: dict[str, Any] = {}
    failed: Exception | None = None
    with (
        parts.log_of(AttemptName(run_id, step, None, lease.attempt)) as said,
        Heartbeat(lambda: parts.ledger.runs.renew_step(lease, lease_seconds=seconds), every=seconds / 3) as beat,
    ):
        try:
            output = _attempt(parts, lease, said, beat)
        except LeaseLost as error:
            log.warning("The step is no longer this worker's: %s", error)
            return []
        except Exception as error:
            failed = error
            # With its traceback where it is the author's own error; those of Batchord's explain themselves.
            log.error("%s", _said(error), exc_info=None if isinstance(error, BatchordError) else error)  # noqa: TRY400
    # After the log is kept: who sees the step's end can read it.
    fault(f"before-step-end:{step}")
    # What ran must not count as lost because the ledger is away at its end. Who took it over meanwhile has the token.
    telling = Retrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_delay(parts.settings.visibility_timeout_seconds),
        wait=wait_random_exponential(multiplier=0.5, max=5),
        reraise=True,
    )
    if failed is not None:
        return telling(_ended_badly, parts, lease, failed)
    return telling(_end, parts, lease, StepState.DONE, output, None)


def _attempt(parts: Parts, lease: StepLease, said: AttemptLog, beat: Heartbeat) -> dict[str, Any]:
    declared = parts.catalog.get(lease.run.pipeline)
    task = declared.task(lease.step)
    if lease.committed is not None:  # together with its work, in an attempt that died before it could say so
        return checked_output(lease.step, lease.committed)
    _look_back(parts, lease, task, retry_of(task, declared.retry))
    return operate(parts, lease, declared, said=said, beat=beat)


def _look_back(parts: Parts, lease: StepLease, task: Task, retry: Retry) -> None:
    """Raises when the attempt before was lost with its worker, and there must not be another."""
    if lease.lost is None:
        return
    if TIME_LIMIT in lease.lost:
        error = OutOfTime(f"it took longer than its time limit of {time_limit_seconds(task):g} s and was ended")
        if not retry.allows(error, attempt=lease.attempt - 1):
            raise error
    elif lease.begun_before and not task.idempotent:
        raise MayHaveRun(
            f"its worker was lost while it ran ({lease.lost}): how much of it was done is not known, so it was not "
            f"run again. Look at what it did, then `batchord rerun {lease.run.id} --from {lease.step}`. If running it "
            "twice does no harm, declare it with idempotent=True"
        )
    elif lease.attempt > parts.settings.max_attempts:
        raise MayHaveRun(f"{lease.attempt - 1} attempts at it ended with the loss of their workers: {lease.lost}")


def _ended_badly(parts: Parts, lease: StepLease, error: Exception) -> list[Message]:
    """Another attempt, or the end as failed."""
    configured = parts.settings
    if isinstance(error, TransientError | UnknownPipeline):
        # Not the step's own error: a server is away, or this worker does not know the file yet.
        retry = Retry(configured.max_attempts - 1, base=configured.retry_base, ceiling=configured.retry_ceiling)
    else:
        retry = NO_RETRY if isinstance(error, _FINAL) else _retry(parts, lease)
    if not retry.allows(error, attempt=lease.attempt):
        return _end(parts, lease, StepState.FAILED, {}, parts.mask(_said(error)))
    wait = retry.wait(lease.attempt)
    if not parts.ledger.runs.release_step(lease, parts.mask(_said(error)), wait=wait):
        return []
    (known,) = [step for step in parts.ledger.runs.steps(lease.run.id) if step.name == lease.step]
    log.info("Step %s of run %s is tried again in %.1f s", lease.step, lease.run.id, wait)
    return [step_ready(known, delay=wait)]


def _end(parts: Parts, lease: StepLease, state: StepState, output: dict[str, Any], error: str | None) -> list[Message]:
    with parts.ledger.runs.lock(lease.run.id) as locked:
        if locked.holds(lease):
            locked.end_step(lease.step, state, output, error)
        return drive(locked)


def _retry(parts: Parts, lease: StepLease) -> Retry:
    declared = parts.catalog.get(lease.run.pipeline)
    return retry_of(declared.step(lease.step), declared.retry)


def _log_failure(error: Exception) -> None:
    """With its traceback where it is the author's own error; those of Batchord explain themselves."""
    trace = error.__traceback__
    # From the author's function on: how we came to call it helps nobody.
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("app.flow."):
        trace = trace.tb_next
    told = isinstance(error, BatchordError) or trace is None
    log.error("%s", _said(error), exc_info=None if told else (type(error), error, trace))


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, BatchordError) else f"{type(error).__name__}: {error}"
