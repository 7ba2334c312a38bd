"""Ends leases before they run out: those of local processes that have ended, or that a person interrupts.

A local process works by itself (``batchord run --local``). Nobody reports its end, as a Celery worker reports that of
its children. But its name tells every process on its machine whether it has ended. The lease's token stays the only
proof for a write: if a process were taken for dead by mistake, it could not write any more.
"""

import logging

from batchord.core.reasons import LossCause
from batchord.flow.parts import Parts
from batchord.ledger.recovery import HeldWork
from batchord.processes.local_names import has_ended

log = logging.getLogger(__name__)


def release_ended(parts: Parts, *, pipeline: str | None = None) -> int:
    """Ends the leases of local processes of this machine that have ended. Returns how many leases it ended.

    A stopped process has not ended: its leases run out as usual. ``pipeline``: only this pipeline. Raises
    TransientError.
    """
    ended = [held for held in parts.ledger.recovery.held_locally(pipeline=pipeline) if has_ended(held.worker)]
    released = sum(_release(parts, held, LossCause.ENDED, "lost: its process ended", loss=True) for held in ended)
    if released:
        log.warning("A local process has ended in the middle of its work. Its work is free for others now.")
    return released


def hand_back(parts: Parts, *, pipeline: str | None = None) -> int:
    """Ends the leases of this process, which a person interrupts. Returns how many leases it ended.

    Raises TransientError.
    """
    own = [held for held in parts.ledger.recovery.held_locally(pipeline=pipeline) if held.worker == parts.worker]
    return sum(
        _release(parts, held, LossCause.STOPPED, "handed back: its process was interrupted", loss=False) for held in own
    )


def _release(parts: Parts, held: HeldWork, cause: LossCause, error: str, *, loss: bool) -> bool:
    """Ends the lease if the process still has it."""
    runs, shards = parts.ledger.runs, parts.ledger.shards
    if held.shard is None:
        return runs.lose_step(held.run_id, held.step, worker=held.worker, cause=cause, error=error, loss=loss)
    return shards.lose(held.run_id, held.step, held.shard, worker=held.worker, cause=cause, error=error, loss=loss)
