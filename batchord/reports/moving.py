"""How far the predictions of earlier releases are on their way into the tables of their steps."""

from typing import TYPE_CHECKING

from batchord.core.text.counts import counted

if TYPE_CHECKING:
    from batchord.ledger import Ledger


def moving_remark(ledger: "Ledger") -> str | None:
    """A remark for people; None if nothing is left to move. Raises TransientError if the ledger does not answer."""
    progress = ledger.moving.progress()
    if progress is None:
        return None
    return (
        f"Predictions of earlier releases move into the tables of {counted(progress.steps, 'step')}: "
        f"{progress.moved:,} have moved, {progress.left:.0%} of the old table is left to read. They count meanwhile as "
        "before."
    )
