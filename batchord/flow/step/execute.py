"""Executes a step of any kind except Predict, under a lease.

A second message for the step finds the lease and does nothing. If the worker dies, another one takes the step over, if
it may run twice. The step's output is written together with its end.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_when_event_set, wait_random_exponential

from batchord.core.code.traces import trace_of
from batchord.core.declared.context import checked_output
from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.declared.steps import TaskStep, retry_of
from batchord.core.errors import (
    BatchordError,
    LeaseLost,
    MayHaveRun,
    OutOfTime,
    OutputRefused,
    StepError,
    TransientError,
)
from batchord.core.process.fault_points import fault
from batchord.core.reasons import LossCause
from batchord.core.run.after_losses import LOST_WORKER, TOOK_TOO_LONG
from batchord.core.run.leases import StepLease
from batchord.core.run.messages import Message, step_ready
from batchord.core.run.runs import StepState
from batchord.core.text.counts import counted
from batchord.core.text.error_text import error_text, message_of
from batchord.flow.attempt.attempt import Attempt, Line
from batchord.flow.attempt.failure import failure_of, keep_failure
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.log import AttemptLog
from batchord.flow.attempt.policy import Fault, Policy, Verdict
from batchord.flow.drive.advance import drive
from batchord.flow.drive.finish import CODE_CHANGED, MOST_ERROR
from batchord.flow.parts import Parts
from batchord.flow.step.operators import operate

log = logging.getLogger(__name__)


def execute_step(parts: Parts, *, run_id: str, step: str) -> list[Message]:
    """Executes a step that is ready. Does nothing if another worker is executing it or has executed it.

    Raises TransientError only if the ledger does not answer at the start. Every other error is recorded in the ledger.
    """
    lease = parts.ledger.runs.claim_step(
        run_id,
        step,
        lease_seconds=parts.settings.lease_seconds,
        worker=parts.worker,
        task=parts.task,
        sharded=False,
    )
    return [] if lease is None else _Execution(parts, lease).make()


class _Execution(Attempt[dict[str, Any]]):
    """An attempt at a step. Its work returns the step's output.

    The lease is kept until the end is written down. The work is over by then, and a short failure of the database must
    not make another worker repeat it.
    """

    keeps_lease_to_end = True

    def __init__(self, parts: Parts, lease: StepLease) -> None:
        self._parts = parts
        self._lease = lease
        self._seconds = parts.settings.lease_seconds
        self.every = self._seconds / 3
        #: None until the pipeline's file was read.
        self._task: TaskStep | None = None
        self._retry = NO_RETRY

    def renew(self) -> bool:
        return self._parts.ledger.runs.renew_step(self._lease, lease_seconds=self._seconds)

    def log(self) -> AbstractContextManager[AttemptLog]:
        return self._parts.log_of(self._lease.attempt_name)

    def work(self, beat: Heartbeat, line: Line) -> dict[str, Any]:
        lease = self._lease
        if lease.work.committed is not None:  # an earlier attempt died between its commit and its end
            return checked_output(lease.step, lease.work.committed)
        declared = self._parts.catalog.get(lease.pipeline)
        self._task = task = declared.task(lease.step)
        self._retry = retry_of(task, declared.retry)
        _look_back(self._parts, lease, task, self._retry)
        return operate(self._parts, lease, declared, line=line, stop=beat.lost)

    def policy(self) -> Policy:
        configured, work = self._parts.settings, self._lease.work
        passing = Retry(configured.max_attempts - 1, base=configured.retry_base, ceiling=configured.retry_ceiling)
        return Policy(
            own_attempts=work.retried + 1,
            attempts=work.handed_back + 1,
            most_attempts=configured.max_attempts,
            retry=self._retry,
            wait=passing.wait,
            edited=self._parts.took_up_code_after(work.run.created_at),
            # A new process may have enough memory: earlier work may have filled this one's.
            exhausted=Fault.PASSING if self._task is None or self._task.idempotent else None,
        )

    def tell(self, error: BaseException, verdict: Verdict) -> None:  # noqa: ARG002 -- the base class's
        """Logs the error: an author's exception with its traceback, an error of Batchord's without."""
        trace = trace_of(error)
        if isinstance(trace.error, BatchordError) or (isinstance(error, BatchordError) and not trace.is_authors):
            log.error("%s", message_of(error))
            return
        log.error("%s", message_of(error), exc_info=(type(trace.error), trace.error, trace.start))
        keep_failure(self._parts, self._lease.attempt_name, failure_of(error, mask=self._parts.mask))

    def done(self, result: dict[str, Any], beat: Heartbeat) -> list[Message]:
        return self._end(beat, StepState.DONE, result, None)

    def failed(self, error: BaseException, verdict: Verdict, beat: Heartbeat) -> list[Message]:
        if verdict.fault is Fault.EDITED:
            return self._end(beat, StepState.CODE_CHANGED, {}, f"{CODE_CHANGED}: {error}")
        reason = self._parts.mask(message_of(error))[:MOST_ERROR]
        if not verdict.again:
            return self._end(beat, StepState.FAILED, _left_by(error, self._lease.step), reason)
        fault(f"before-step-end:{self._lease.step}")
        return _patiently(self._parts, beat, partial(self._release, verdict, reason))

    def lease_lost(self, error: LeaseLost) -> list[Message]:  # noqa: ARG002 -- the base class's
        return []

    def _end(self, beat: Heartbeat, state: StepState, output: dict[str, Any], error: str | None) -> list[Message]:
        fault(f"before-step-end:{self._lease.step}")
        return _patiently(self._parts, beat, partial(_end, self._parts, self._lease, state, output, error))

    def _release(self, verdict: Verdict, reason: str) -> list[Message]:
        """Gives the step back for another attempt, and returns its message."""
        runs, lease, wait = self._parts.ledger.runs, self._lease, verdict.wait or 0
        if not runs.release_step(lease, reason, wait=wait, own_error=verdict.fault is Fault.OWN):
            return []
        (released,) = [step for step in runs.steps(lease.run_id) if step.name == lease.step]
        log.info("Step %s of run %s starts again in %.1f s", lease.step, lease.run_id, wait)
        return [step_ready(released, delay=wait)]


def _patiently(parts: Parts, beat: Heartbeat, end: Callable[[], list[Message]]) -> list[Message]:
    """Repeats ``end`` while the ledger is away, until the lease is lost."""
    configured = parts.settings
    attempts = Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait_random_exponential(configured.retry_base_seconds, configured.retry_ceiling_seconds),
        stop=stop_when_event_set(beat.lost),
        reraise=True,
    )
    return attempts(end)


def _look_back(parts: Parts, lease: StepLease, task: TaskStep, retry: Retry) -> None:
    """Raises if earlier attempts were lost with their workers and no other attempt is allowed."""
    if lease.work.begun_before and not task.idempotent:
        raise MayHaveRun(
            f"{LOST_WORKER} while it ran ({lease.last_error or 'in an earlier attempt'}). Nobody knows how "
            "much of its work was done, so it was not run again. Check what it did, then run `batchord rerun "
            f"{lease.run_id} --from {lease.step}`. If the step may safely run twice, declare it with idempotent=True"
        )
    if lease.cause is LossCause.OUT_OF_TIME:
        error = OutOfTime(f"{TOOK_TOO_LONG} ({lease.last_error})")
        if not retry.allows(error, attempt=lease.work.retried):
            raise error
    elif lease.losses >= parts.settings.max_attempts:
        raise MayHaveRun(f"{LOST_WORKER} in {counted(lease.losses, 'attempt')}, last: {lease.last_error}")


def _left_by(error: BaseException, step: str) -> dict[str, Any]:
    """The output of a failed step, which later steps may read."""
    value = error.value if isinstance(error, StepError) else None
    try:
        return {} if value is None else checked_output(step, value)
    except OutputRefused as refused:
        log.warning("What step %s left at its failure is dropped: %s", step, refused)
        return {}


def _end(parts: Parts, lease: StepLease, state: StepState, output: dict[str, Any], error: str | None) -> list[Message]:
    try:
        with parts.ledger.runs.lock(lease.run_id) as locked:
            if locked.holds(lease):
                if state is not StepState.DONE and (committed := locked.committed(lease.step)) is not None:
                    # Its work has taken effect, whatever went wrong afterwards.
                    state, output, error = StepState.DONE, committed, None
                locked.end_step(lease.step, state, output, error)
            return drive(locked)
    except BatchordError:
        raise
    except Exception as refused:
        if not output:
            raise
        # The ledger cannot store the output. The step must still end.
        log.exception("The result of step %s of run %s cannot be stored", lease.step, lease.run_id)
        return _end(parts, lease, StepState.FAILED, {}, f"the step's result cannot be stored: {error_text(refused)}")
