"""The provenance of a record's outcome: the run, the shard, the attempt and the model that it comes from."""

from dataclasses import dataclass
from datetime import datetime

from batchord.core.run.records import Position
from batchord.core.run.runs import RunState, StepState


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A record's prediction, or its rejection with the ``reason``.

    Where the run was pruned, everything that only the run knows is None.
    """

    record_key: str
    model_version: str
    run_id: str
    #: The run's kind, its trigger and its slot.
    kind: str | None
    trigger: str | None
    slot: datetime | None
    shard: int
    #: The attempt that wrote it.
    attempt: int
    #: How many attempts its shard took.
    attempts: int | None
    worker: str | None
    #: 64-bit digest of the record's values; None for a rejection.
    input_digest: int | None
    #: The digest of the step's code when it was planned.
    code: str | None
    #: When the step was planned: then the run had found its records.
    discovered_at: datetime | None
    #: When it was written.
    at: datetime
    #: None for a prediction.
    reason: str | None
    detail: str | None
    label: str | None
    score: float | None


@dataclass(frozen=True, kw_only=True)
class AttemptAtShard:
    """An attempt at a shard, and how it ended."""

    attempt: int
    worker: str
    state: str
    #: Why it was lost.
    cause: str | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class StepOfRun:
    """A Predict step in one run."""

    run_id: str
    run_state: RunState
    trigger: str
    created_at: datetime
    full_scan: bool
    window_start: datetime | None
    window_end: datetime | None
    state: StepState
    after: tuple[str, ...]
    backlog_left: bool
    planned_at: datetime | None
    error: str | None

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """The run's window; None if it has none."""
        return None if self.window_start is None or self.window_end is None else (self.window_start, self.window_end)


@dataclass(frozen=True, kw_only=True)
class ShardOfStep:
    """A shard and its range."""

    index: int
    #: The index of the shard that it is a part of.
    parent: int | None
    first: Position
    last: Position
    state: str
    attempt: int
    worker: str | None
    error: str | None
