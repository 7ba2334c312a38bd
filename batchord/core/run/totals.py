"""What a step's shards add up to."""

from typing import NamedTuple


class StepTotals(NamedTuple):
    """What a step's shards add up to, counted from predictions and rejections themselves."""

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
    #: Shards that were left to a follow-up run, since their step was planned with other code.
    changed_shards: int = 0
