"""Moves what earlier releases predicted into the tables of the steps, a little at a time. The watch starts it."""

import logging
import time

from batchord.core.errors import TransientError
from batchord.core.run.moving import MovedStep
from batchord.core.text.counts import counted
from batchord.flow.parts import Parts

log = logging.getLogger(__name__)

#: How long one call goes on. It takes a thread of the control worker, and the next watch continues.
SECONDS = 10.0
#: How long a transaction should take, in seconds: not less than a third of it, and not more.
_LONG = 1.0
#: Blocks of 8 KiB in the first transaction, and the most: some 10,000 predictions.
_FIRST_BLOCKS, _MOST_BLOCKS = 32, 256


def move_earlier(parts: Parts, *, seconds: float = SECONDS) -> int:
    """Moves predictions for so many seconds, and at least one batch. Returns how many have moved.

    Several workers may do so at the same time: one of them moves, the others do nothing.
    """
    moving = parts.ledger.moving
    moved, blocks, end = 0, _FIRST_BLOCKS, time.monotonic() + seconds
    try:
        if not moving.begin():
            return 0
        while True:
            begun = time.monotonic()
            batch = moving.move(blocks)
            if batch is None:
                break
            moved += batch.predictions
            for step in batch.ended:
                _tell(parts, step)
            now = time.monotonic()
            if now >= end:
                break
            blocks = _next(blocks, now - begun)
    except TransientError as error:
        log.warning("Predictions of earlier releases are moved later: %s", error)
    if moved:
        log.info("Moved %s of earlier releases into the tables of their steps.", counted(moved, "prediction"))
    return moved


def _next(blocks: int, took: float) -> int:
    """How many blocks the next transaction should read, after one that took so many seconds."""
    if took > _LONG:
        return max(1, blocks // 2)
    return min(_MOST_BLOCKS, blocks * 2) if took < _LONG / 3 else blocks


def _tell(parts: Parts, step: MovedStep) -> None:
    if step.error is not None:
        log.error(
            "%s refuses predictions that earlier releases made in step %s of %s: %s. Those that are left stay in "
            "batchord.earlier_predictions, where they count as before.",
            step.table,
            step.step,
            step.pipeline,
            parts.mask(step.error),
        )
        return
    log.info(
        "%s that earlier releases made in step %s of %s moved into %s.%s",
        counted(step.moved, "prediction"),
        step.step,
        step.pipeline,
        step.table,
        f" {step.kept} more stay, because it cannot hold their keys." if step.kept else "",
    )
