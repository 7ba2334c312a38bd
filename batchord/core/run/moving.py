"""How far the predictions of earlier releases have moved into the tables of their steps."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MovedStep:
    """A step of whose earlier predictions all are moved that can be."""

    pipeline: str
    step: str
    #: The table's name with its schema.
    table: str
    moved: int
    #: How many stay, because the table cannot hold their keys.
    kept: int
    #: The database's error, if it refused the rows; then those that are left stay.
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class MovedBatch:
    """What one transaction moved."""

    predictions: int
    #: The steps that it ended.
    ended: tuple[MovedStep, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MoveProgress:
    """What has moved so far, of the steps that have predictions left to move."""

    steps: int
    moved: int
    #: The share of the old table that is still to be read, from 0 to 1.
    left: float
