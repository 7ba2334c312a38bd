"""A shard that cannot be ended here is left to another attempt, by raising TransientError."""

import logging
from typing import NoReturn

from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.declared.steps import retry_of
from batchord.core.errors import BatchordError, ConfigurationError, TransientError
from batchord.core.process.exhaustion import note_exhaustion
from batchord.core.reasons import LossCause
from batchord.core.run.leases import ShardLease
from batchord.core.text.counts import counted
from batchord.core.text.error_text import error_text
from batchord.flow.parts import Parts

log = logging.getLogger(__name__)

#: Until a process that is out of memory has ended, and a new one has taken its place.
_NEW_PROCESS_SECONDS = 1.0


def leave_to_others(parts: Parts, lease: ShardLease, error: BaseException, *, in_new_process: bool) -> NoReturn:
    """Leaves the shard to another process, by raising TransientError: a loss, as if the kernel had killed this one.

    But a record that stands alone is not blamed for what was in this process before.
    """
    note_exhaustion(error)
    alone = lease.work.planned - lease.work.accounted_before <= 1
    loss = in_new_process or not alone or lease.attempt - lease.losses >= parts.settings.max_attempts
    said = f"{'lost' if loss else 'handed back by a process without free memory'}: out of memory {error}".rstrip()
    assert lease.shard is not None  # noqa: S101 -- a shard's lease has one
    parts.ledger.shards.lost(
        lease.run_id,
        lease.step,
        lease.shard,
        worker=parts.worker,
        cause=LossCause.OUT_OF_MEMORY,
        error=parts.mask(said),
        loss=loss,
    )
    raise TransientError(
        f"Shard {lease.shard} of step {lease.step} in run {lease.run_id}: {said}",
        wait=min(_NEW_PROCESS_SECONDS, parts.settings.retry_base_seconds),
    ) from error


def fail_or_give_back(parts: Parts, lease: ShardLease, error: BaseException) -> None:
    """Ends the shard as failed for an error of Batchord's, unless the author's Retry allows another attempt.

    What nobody foresaw, a bug of ours or of a library, is tried again, since nobody knows.
    """
    where = (lease.shard, lease.step, lease.run_id)
    if not isinstance(error, BatchordError):
        log.error("Shard %s of step %s in run %s met an unexpected error", *where, exc_info=error)
        give_back(parts, lease, error, said=error_text(error))
        return
    log.error("Shard %s of step %s in run %s failed: %s", *where, error)
    retry = _retry(parts, lease)
    if not isinstance(error, ConfigurationError) and retry.allows(error, attempt=lease.attempt - lease.losses):
        _hand_back(parts, lease, error, said=str(error), wait=retry.wait(lease.attempt))
    parts.ledger.shards.fail(lease, parts.mask(str(error)))


def is_last(parts: Parts, lease: ShardLease, *, moved_on: bool) -> bool:
    """Whether this attempt is the last. One that wrote records never is: what is left gets less each time."""
    return lease.attempt >= parts.settings.max_attempts and not moved_on


def give_back(parts: Parts, lease: ShardLease, error: BaseException, *, said: str, moved_on: bool = False) -> None:
    """Leaves the shard to another attempt, by raising TransientError; after the last it has failed."""
    if not is_last(parts, lease, moved_on=moved_on):
        _hand_back(parts, lease, error, said=said)
    parts.ledger.shards.fail(lease, parts.mask(f"after {counted(lease.attempt, 'attempt')}: {said}"))


def _hand_back(
    parts: Parts, lease: ShardLease, error: BaseException, *, said: str, wait: float | None = None
) -> NoReturn:
    parts.ledger.shards.release(lease, parts.mask(said), wait=wait or 0)
    raise TransientError(
        f"Shard {lease.shard} of step {lease.step} in run {lease.run_id} is handed back: {said}",
        wait=wait,
        counted=True,
    ) from error


def _retry(parts: Parts, lease: ShardLease) -> Retry:
    """The author's word on errors of the model; none when this process does not know the file."""
    try:
        declared = parts.catalog.get(lease.pipeline)
        return retry_of(declared.step(lease.step), declared.retry)
    except ConfigurationError:
        return NO_RETRY
