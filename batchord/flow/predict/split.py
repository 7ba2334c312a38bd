"""Halves a shard that loses its workers, until the record that kills them is alone.

The process itself cannot catch a crash, a lack of memory or a call that never returns. But the ledger shows that the
shard's workers die. Each level of halving costs one worker, since a half starts with one loss; a record that is alone
must lose two workers of its own. So one such record among n costs at most 2 + log2(n) + 2 restarts, and all other
records are predicted.
"""

from batchord.core.reasons import LOSS_REASONS, reason_of_loss
from batchord.core.run.leases import ShardLease, ShardOutcome
from batchord.core.run.messages import Message, ShardsReady, StepEnded
from batchord.core.run.predictions import Batch, Predictions
from batchord.core.run.records import Position, Rejection
from batchord.core.run.shards import ShardRange
from batchord.flow.parts import Parts

#: After this many lost workers a shard is halved, or its only record is rejected.
MOST_LOSSES = 2
#: The most records of a step that may be rejected because their workers died. If there are more, the model is broken.
MOST_BLAMED = 20
_CHUNK_ROWS = 10_000
#: The most parts into which a shard that takes too long is divided. Each part may be divided again.
_MOST_PARTS = 64
#: A shard is divided when it has taken this many times its intended time, and the rest would take longer than that
#: time.
_FAR_TOO_LONG = 3


def halve_or_reject(parts: Parts, lease: ShardLease) -> list[Message]:
    """Halves what is left of the shard, or rejects the record that is left alone.

    Raises LeaseLost and TransientError.
    """
    left = _unaccounted(parts, lease)
    if len(left) > 1:
        return _halve(parts, lease, left)
    if left and parts.ledger.shards.blamed(lease, LOSS_REASONS) >= MOST_BLAMED:
        error = f"{MOST_BLAMED} records have already killed their workers: fix the model, not the records"
        parts.ledger.shards.fail(lease, error)
        return [StepEnded(run_id=lease.run_id, step=lease.step)]
    if left:
        rejection = Rejection(key=left[0].key, reason=reason_of_loss(lease.cause), detail=lease.last_error or "")
        nothing = Predictions(keys=[], labels=[], scores=[], outputs=[], digests=[])
        parts.ledger.shards.commit(lease, Batch(predictions=nothing, rejections=[rejection]))
    discovered = lease.work.accounted_before + len(left)
    parts.ledger.shards.finish(lease, ShardOutcome(found=discovered, timings={}))
    return [StepEnded(run_id=lease.run_id, step=lease.step)]


def rows_to_leave(lease: ShardLease, predicted: int, elapsed: float, *, aim: float) -> int:
    """How many records a shard of ``aim`` seconds would hold, if this one takes far longer; otherwise 0."""
    if elapsed < _FAR_TOO_LONG * aim or not predicted:
        return 0
    speed = predicted / elapsed
    left = lease.work.planned - lease.work.accounted_before - predicted
    return max(1, round(speed * aim)) if left > speed * aim else 0


def divide_shard(parts: Parts, lease: ShardLease, outcome: ShardOutcome, *, rows: int) -> list[Message]:
    """Ends a shard that takes too long; its remaining records become shards of ``rows`` records.

    Raises LeaseLost and TransientError.
    """
    left = _unaccounted(parts, lease)
    if not left:
        parts.ledger.shards.finish(lease, outcome)
        return [StepEnded(run_id=lease.run_id, step=lease.step)]
    rows = max(rows, -(-len(left) // _MOST_PARTS))
    cuts = [left[start : start + rows] for start in range(0, len(left), rows)]
    ranges = [ShardRange(first=cut[0], last=cut[-1], planned=len(cut)) for cut in cuts]
    indexes = parts.ledger.shards.split(lease, ranges, losses=0, outcome=outcome)
    queue = parts.catalog.get(lease.pipeline).predict_step(lease.step).declared_model.queue
    return [ShardsReady(run_id=lease.run_id, step=lease.step, queue=queue, indexes=tuple(indexes))]


def _halve(parts: Parts, lease: ShardLease, left: list[Position]) -> list[Message]:
    middle = len(left) // 2
    halves = [ShardRange(first=half[0], last=half[-1], planned=len(half)) for half in (left[:middle], left[middle:])]
    indexes = parts.ledger.shards.split(lease, halves, losses=MOST_LOSSES - 1)
    queue = parts.catalog.get(lease.pipeline).predict_step(lease.step).declared_model.queue
    return [ShardsReady(run_id=lease.run_id, step=lease.step, queue=queue, indexes=tuple(indexes))]


def _unaccounted(parts: Parts, lease: ShardLease) -> list[Position]:
    """The positions of the shard's records without a prediction or a rejection. They fit into memory."""
    source = parts.open_source(parts.catalog.get(lease.pipeline).predict_step(lease.step).source, lease.work.window)
    left: list[Position] = []
    for chunk in source.positions(first=lease.work.first, last=lease.work.last, chunk_rows=_CHUNK_ROWS):
        accounted = parts.ledger.shards.accounted(lease.pipeline, lease.step, [position.key for position in chunk])
        left += [position for position in chunk if position.key not in accounted]
    return left
