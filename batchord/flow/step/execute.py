"""A step that is no Predict step is executed under a lease, as a shard is predicted under one.

A second message for it finds the lease and goes away. When its worker dies another takes it over, if it may run
twice. What it came to is written down together with its end.
"""

import logging
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_when_event_set, wait_random_exponential

from batchord.core.code import is_authors
from batchord.core.declared.context import checked_output
from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.declared.steps import TaskStep, retry_of
from batchord.core.errors import (
    BatchordError,
    ConfigurationError,
    FinalStepError,
    LeaseLost,
    MayHaveRun,
    OutOfTime,
    OutputRefused,
    StepError,
    TransientError,
    UnknownPipeline,
    UnknownStep,
)
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.process.faults import fault
from batchord.core.reasons import LossCause
from batchord.core.run.leases import StepLease
from batchord.core.run.messages import Message, step_ready
from batchord.core.run.runs import StepState
from batchord.core.text.counts import counted
from batchord.core.text.error_text import error_text
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.log import AttemptLog
from batchord.flow.drive.advance import drive
from batchord.flow.drive.finish import CODE_CHANGED, MOST_ERROR
from batchord.flow.parts import Parts
from batchord.flow.step.operators import operate

log = logging.getLogger(__name__)

#: Errors that no retry= of an author speaks of.
_FINAL = (FinalStepError, ConfigurationError)


def execute_step(parts: Parts, *, run_id: str, step: str) -> list[Message]:
    """Executes a step that is ready; does nothing when another worker does or did.

    Raises TransientError only when the ledger does not answer at first; every other error is written down in it.
    """
    seconds = parts.settings.lease_seconds
    lease = parts.ledger.runs.claim_step(
        run_id, step, lease_seconds=seconds, worker=parts.worker, task=parts.task, sharded=False
    )
    if lease is None:
        return []
    with Heartbeat(partial(parts.ledger.runs.renew_step, lease, lease_seconds=seconds), every=seconds / 3) as beat:
        output: dict[str, Any] = {}
        failed: Exception | None = None
        with parts.log_of(lease.attempt_name) as said:
            try:
                output = _attempt(parts, lease, said, beat)
            except LeaseLost as error:
                log.warning("The step no longer belongs to this worker: %s", error)
                return []
            except Exception as error:  # noqa: BLE001 -- whatever an author's function raises
                failed = error
                _log_failure(error)
                if is_exhaustion(error):
                    note_exhaustion(error)
        # After the log is kept: who sees the step's end can read it.
        fault(f"before-step-end:{lease.step}")
        # The work is done, or is over: a database that is away for a moment must not undo that.
        if failed is not None:
            return _patiently(parts, beat, partial(_ended_badly, parts, lease, failed))
        return _patiently(parts, beat, partial(_end, parts, lease, StepState.DONE, output, None))


def _patiently(parts: Parts, beat: Heartbeat, end: Callable[[], list[Message]]) -> list[Message]:
    """Repeats ``end`` while the ledger is away and the lease is not known to be lost."""
    configured = parts.settings
    attempts = Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait_random_exponential(configured.retry_base_seconds, configured.retry_ceiling_seconds),
        stop=stop_when_event_set(beat.lost),
        reraise=True,
    )
    return attempts(end)


def _attempt(parts: Parts, lease: StepLease, said: AttemptLog, beat: Heartbeat) -> dict[str, Any]:
    declared = parts.catalog.get(lease.pipeline)
    task = declared.task(lease.step)
    if lease.work.committed is not None:  # together with its work, in an attempt that died before it could say so
        return checked_output(lease.step, lease.work.committed)
    _look_back(parts, lease, task, retry_of(task, declared.retry))
    return operate(parts, lease, declared, said=said, beat=beat)


def _look_back(parts: Parts, lease: StepLease, task: TaskStep, retry: Retry) -> None:
    """Raises when attempts before were lost with their workers, and there must not be another."""
    if lease.work.begun_before and not task.idempotent:
        raise MayHaveRun(
            f"the step lost its worker while it ran ({lease.last_error or 'in an earlier attempt'}). Nobody knows how "
            "much of its work was done, so it was not run again. Check what it did, then run `batchord rerun "
            f"{lease.run_id} --from {lease.step}`. If the step may safely run twice, declare it with idempotent=True"
        )
    if lease.cause is LossCause.OUT_OF_TIME:
        error = OutOfTime(f"the step took too long, and Batchord ended it ({lease.last_error})")
        if not retry.allows(error, attempt=lease.work.retried):
            raise error
    elif lease.losses >= parts.settings.max_attempts:
        raise MayHaveRun(f"the step lost its worker in {counted(lease.losses, 'attempt')}, last: {lease.last_error}")


def _ended_badly(parts: Parts, lease: StepLease, error: Exception) -> list[Message]:
    """Another attempt, or the end as failed."""
    configured = parts.settings
    if isinstance(error, UnknownStep) and parts.took_up_code_after(lease.work.run.created_at):
        return _end(parts, lease, StepState.CODE_CHANGED, {}, f"{CODE_CHANGED}: {error}")
    own_error = not isinstance(error, TransientError | UnknownPipeline) and not _may_be_anothers(parts, lease, error)
    if own_error:
        retry = NO_RETRY if isinstance(error, _FINAL) else _retry(parts, lease)
        failures = lease.work.retried + 1
    else:  # a server is away, this worker does not know the file yet, or its process was full
        retry = Retry(configured.max_attempts - 1, base=configured.retry_base, ceiling=configured.retry_ceiling)
        failures = lease.work.handed_back + 1
    said = parts.mask(_said(error))[:MOST_ERROR]
    if not retry.allows(error, attempt=failures):
        return _end(parts, lease, StepState.FAILED, _left_by(error, lease.step), said)
    wait = retry.wait(failures)
    if not parts.ledger.runs.release_step(lease, said, wait=wait, own_error=own_error):
        return []
    (known,) = [step for step in parts.ledger.runs.steps(lease.run_id) if step.name == lease.step]
    log.info("Step %s of run %s starts again in %.1f s", lease.step, lease.run_id, wait)
    return [step_ready(known, delay=wait)]


def _left_by(error: Exception, step: str) -> dict[str, Any]:
    """What a step that cleans up may read of one that failed."""
    value = error.value if isinstance(error, StepError) else None
    try:
        return {} if value is None else checked_output(step, value)
    except OutputRefused as refused:
        log.warning("What step %s left at its failure is dropped: %s", step, refused)
        return {}


def _may_be_anothers(parts: Parts, lease: StepLease, error: Exception) -> bool:
    """Whether a new process may bear it: this one had no memory left, perhaps for what it did before."""
    return is_exhaustion(error) and parts.catalog.get(lease.pipeline).task(lease.step).idempotent


def _end(parts: Parts, lease: StepLease, state: StepState, output: dict[str, Any], error: str | None) -> list[Message]:
    try:
        with parts.ledger.runs.lock(lease.run_id) as locked:
            if locked.holds(lease):
                locked.end_step(lease.step, state, output, error)
            return drive(locked)
    except BatchordError:
        raise
    except Exception as refused:
        if not output:
            raise
        # Whatever the ledger cannot keep, the step must not stand still for it.
        log.exception("The result of step %s of run %s cannot be stored", lease.step, lease.run_id)
        return _end(parts, lease, StepState.FAILED, {}, f"the step's result cannot be stored: {error_text(refused)}")


def _retry(parts: Parts, lease: StepLease) -> Retry:
    declared = parts.catalog.get(lease.pipeline)
    return retry_of(declared.step(lease.step), declared.retry)


def _log_failure(error: Exception) -> None:
    """With its traceback where it is the author's own error; those of Batchord explain themselves."""
    said_in_full = isinstance(error, BatchordError)
    log.error("%s", _said(error), exc_info=None if said_in_full else (type(error), error, _authors_part(error)))


def _authors_part(error: Exception) -> TracebackType | None:
    """From the author's function on: how we came to call it helps nobody."""
    trace = error.__traceback__
    while trace is not None and not is_authors(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace or error.__traceback__


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, BatchordError) else error_text(error)
