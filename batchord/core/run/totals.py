"""The totals of a step's shards."""

from typing import NamedTuple


class StepTotals(NamedTuple):
    """The totals of a step's shards, and the rows that were counted in the tables."""

    shards: int
    #: Shards that are pending or running.
    open_shards: int
    failed_shards: int
    planned: int
    discovered: int
    predicted: int
    rejected: int
    #: Counted row by row in the tables of predictions and rejections.
    predictions_written: int
    rejections_written: int
    #: Shards that a follow-up run takes, because their step was planned with other code.
    changed_shards: int = 0
    #: Whether others may delete predictions at any time: the table is the author's.
    rows_may_go: bool = False
    #: Why the predictions cannot be counted: the author's table was renamed or altered. None: they were counted.
    unreadable: str | None = None
