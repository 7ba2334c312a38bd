"""Predicts a shard under its lease. What this attempt cannot finish is left to another attempt."""

import logging
from contextlib import AbstractContextManager
from typing import NoReturn

from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.declared.steps import retry_of
from batchord.core.errors import BatchordError, ConfigurationError, LeaseLost, TransientError
from batchord.core.process.fault_points import fault
from batchord.core.reasons import LossCause
from batchord.core.run.leases import Claim, Lease, ShardLease, ShardOutcome
from batchord.core.run.messages import Message, StepEnded
from batchord.core.text.counts import counted
from batchord.core.text.error_text import message_of
from batchord.flow.attempt.attempt import Attempt, Line
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.log import AttemptLog
from batchord.flow.attempt.policy import Fault, Policy, Verdict, is_passing
from batchord.flow.parts import Parts
from batchord.flow.predict.key import with_destination
from batchord.flow.predict.records import Progress, predict_records
from batchord.flow.predict.same_code import check_code
from batchord.flow.predict.split import MOST_LOSSES, divide_shard, halve_or_reject

log = logging.getLogger(__name__)

#: Seconds in which a process without memory ends and a new one takes its place.
_NEW_PROCESS_SECONDS = 1.0


class ShardHeld(BatchordError):
    """Another worker holds a live lease on the shard, so this message must not count as the shard's end."""


def predict_shard(
    parts: Parts, *, run_id: str, step: str, index: int, in_new_process: bool = True, alone: bool = False
) -> list[Message]:
    """Predicts the missing records of a shard, as the only owner of its lease.

    ``in_new_process``: whether this process has predicted nothing before. Then the shard is the cause if memory is
    lacking. ``alone``: whether no chord counts the shard, so that its end must ask for the end of the step.

    Raises ShardHeld if another worker has the shard or has taken it over, and TransientError if the shard was given
    back for another attempt. After any other error, the ledger marks the shard as failed.
    """
    seconds = parts.settings.lease_seconds
    lease = parts.ledger.shards.claim(run_id, step, index, lease_seconds=seconds, worker=parts.worker, task=parts.task)
    if lease is Claim.ENDED:
        return [StepEnded(run_id=run_id, step=step)] if alone else []
    if not isinstance(lease, Lease):
        raise ShardHeld(f"Shard {index} of step {step} in run {run_id} is held by another worker.")
    return _Prediction(parts, lease, in_new_process=in_new_process, alone=alone).make()


class _Prediction(Attempt[list[Message] | None]):
    """An attempt at a shard. If the shard was divided, its work returns the messages for the parts; otherwise None."""

    def __init__(self, parts: Parts, lease: ShardLease, *, in_new_process: bool, alone: bool) -> None:
        self._parts = parts
        self._lease = lease
        self._in_new_process = in_new_process
        self._alone = alone
        self._progress = Progress()
        self._seconds = parts.settings.lease_seconds
        self.every = self._seconds / 3

    def renew(self) -> None:
        self._parts.ledger.shards.renew(self._lease, lease_seconds=self._seconds)

    def log(self) -> AbstractContextManager[AttemptLog]:
        return self._parts.log_of(self._lease.attempt_name)

    def work(self, beat: Heartbeat, line: Line) -> list[Message] | None:  # noqa: ARG002 -- its output is logged anyway
        parts, progress = self._parts, self._progress
        check_code(parts, self._lease)
        lease = self._lease = with_destination(parts, self._lease)
        if lease.losses >= MOST_LOSSES:
            return halve_or_reject(parts, lease)
        predict_records(parts.interrupted_with(beat), lease, beat, progress)
        discovered = lease.work.accounted_before + progress.fetched - progress.conflicts
        timings = {name: round(value, 4) for name, value in vars(progress.phases).items()}
        outcome = ShardOutcome(found=discovered, timings=timings, runs_on=progress.runs_on)
        if progress.rows_left_out:
            return divide_shard(parts, lease, outcome, rows=progress.rows_left_out)
        beat.stop()
        fault("before-shard-finish")
        parts.ledger.shards.finish(lease, outcome)
        fault("after-shard-finish")
        return None

    def policy(self) -> Policy:
        lease = self._lease
        return Policy(
            own_attempts=lease.attempt - lease.losses,
            attempts=lease.attempt,
            most_attempts=self._parts.settings.max_attempts,
            moved_on=self._progress.written > 0,
            retry=self._retry(),
            exhausted=Fault.PROCESS,
            # A bug in Batchord or in a library: it may not occur again.
            unforeseen=Fault.PASSING,
        )

    def tell(self, error: BaseException, verdict: Verdict) -> None:
        if verdict.fault is Fault.EDITED:
            log.info("A follow-up run will predict what is left. %s: %s", self._lease, error)
        elif verdict.fault in (Fault.OWN, Fault.FINAL):
            log.error("%s failed: %s", self._lease, error)
        elif verdict.fault is Fault.PASSING and not is_passing(error):
            log.error("%s met an unexpected error", self._lease, exc_info=error)

    def done(self, result: list[Message] | None, beat: Heartbeat) -> list[Message]:  # noqa: ARG002 -- the base class's
        return self._ended() if result is None else result

    def failed(self, error: BaseException, verdict: Verdict, beat: Heartbeat) -> list[Message]:  # noqa: ARG002 -- as above
        reason = self._parts.mask(message_of(error))
        shards = self._parts.ledger.shards
        if verdict.fault is Fault.EDITED:
            shards.leave(self._lease, reason)
            return [StepEnded(run_id=self._lease.run_id, step=self._lease.step)]
        if verdict.fault is Fault.PROCESS:
            self._leave_to_others(error)
        if verdict.again:
            self._hand_back(error, reason, wait=verdict.wait)
        passing = verdict.fault is Fault.PASSING
        shards.fail(self._lease, f"after {counted(self._lease.attempt, 'attempt')}: {reason}" if passing else reason)
        return self._ended()

    def lease_lost(self, error: LeaseLost) -> list[Message]:
        raise ShardHeld(str(error)) from error

    def _ended(self) -> list[Message]:
        # After a repeated attempt the chord's count may be wrong, so send the message, too. Further ones do no harm.
        lease = self._lease
        return [StepEnded(run_id=lease.run_id, step=lease.step)] if self._alone or lease.attempt > 1 else []

    def _retry(self) -> Retry:
        """The author's Retry for errors of the model; no retry if this process does not know the file."""
        try:
            declared = self._parts.catalog.get(self._lease.pipeline)
            return retry_of(declared.step(self._lease.step), declared.retry)
        except ConfigurationError:
            return NO_RETRY

    def _hand_back(self, error: BaseException, reason: str, *, wait: float | None) -> NoReturn:
        self._parts.ledger.shards.release(self._lease, reason, wait=wait or 0)
        raise TransientError(f"{self._lease} is handed back: {reason}", wait=wait, counted=True) from error

    def _leave_to_others(self, error: BaseException) -> NoReturn:
        """Leaves the shard to another process. This counts as a loss, as if the kernel had killed this process.

        A single record is the exception: it is not blamed for what earlier work left in this process's memory.
        """
        parts, lease = self._parts, self._lease
        assert lease.shard is not None  # noqa: S101 -- a shard's lease has one
        alone = lease.work.planned - lease.work.accounted_before <= 1
        loss = self._in_new_process or not alone or lease.attempt - lease.losses >= parts.settings.max_attempts
        reason = f"{'lost' if loss else 'handed back by a process without free memory'}: out of memory {error}".rstrip()
        parts.ledger.shards.lose(
            lease.run_id,
            lease.step,
            lease.shard,
            worker=parts.worker,
            cause=LossCause.OUT_OF_MEMORY,
            error=parts.mask(reason),
            loss=loss,
        )
        wait = min(_NEW_PROCESS_SECONDS, parts.settings.retry_base_seconds)
        raise TransientError(f"{lease}: {reason}", wait=wait) from error
