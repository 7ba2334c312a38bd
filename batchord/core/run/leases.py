"""The right to work on a part of a run, which one worker has at a time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from batchord.core.reasons import LossCause
from batchord.core.run.logs import AttemptName
from batchord.core.run.records import Position
from batchord.core.run.runs import Run

Work = TypeVar("Work")


@dataclass(frozen=True, kw_only=True)
class Lease(Generic[Work]):
    """The right to work on a step, or on one of its shards, and to write what came of it, until another claims it.

    It holds as long as the token is the ledger's.
    """

    run_id: str
    pipeline: str
    step: str
    #: Index of the shard; None: the step as a whole.
    shard: int | None = None
    #: Counts from 1; counted before any work, so that an attempt that killed its worker counts.
    attempt: int
    token: str
    #: Attempts that ended with the death or the disappearance of their worker.
    losses: int = 0
    #: What is known of earlier attempts' ends. Of a shard all their errors; of a step how the last worker was lost.
    last_error: str | None = None
    #: Why the last attempt was lost; None when it ended otherwise, or there was none.
    cause: LossCause | None = None
    #: What there is to do, and what matters of earlier attempts at it.
    work: Work

    @property
    def attempt_name(self) -> AttemptName:
        """Names the attempt, for its log."""
        return AttemptName(self.run_id, self.step, self.shard, self.attempt)

    def __str__(self) -> str:
        """What it is a lease on, at the beginning of a sentence."""
        if self.shard is None:
            return f"Step {self.step} of run {self.run_id}"
        return f"Shard {self.shard} of step {self.step} in run {self.run_id}"


@dataclass(frozen=True, kw_only=True)
class StepWork:
    """A step that is planned, or executed as a whole."""

    run: Run
    #: Attempts that ended with an error of the step's own, its time limit among them.
    retried: int = 0
    #: Attempts that were given back for other reasons, such as a server that is away.
    handed_back: int = 0
    #: Whether a lost attempt, the last or one before, had begun what cannot be taken back: what it did is not known.
    begun_before: bool = False
    #: What a step committed together with its work, in an attempt whose end was not written down.
    committed: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class ShardWork:
    """A shard that is predicted."""

    first: Position
    last: Position
    planned: int
    #: Records that earlier attempts at this shard accounted for.
    accounted_before: int
    #: Whether no record between its ends was accounted for when it was planned.
    dense: bool
    model_version: str
    window: tuple[datetime, datetime] | None
    #: What the step's code was when it was planned, and when that was; None: planned by an earlier release.
    code: str | None = None
    planned_at: datetime | None = None


StepLease = Lease[StepWork]
ShardLease = Lease[ShardWork]


class Claim(StrEnum):
    """Why a claim gave no lease."""

    #: The shard has ended (or its run has): nothing is left to do.
    ENDED = "ended"
    #: Another worker holds a live lease.
    HELD = "held"


@dataclass(frozen=True, kw_only=True)
class ShardOutcome:
    """What a worker reports of a shard that it finished."""

    #: Records of the range that were this shard's to account for, in all its attempts.
    found: int
    #: Seconds spent in each phase: ``fetch``, ``predict``, ``write``; phases overlap. ``work``: all of it.
    timings: dict[str, float]
    #: What the model ran on, such as ``cpu`` or ``cuda``; None when it did not run.
    runs_on: str | None = None
