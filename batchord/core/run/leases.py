"""Leases: the right of one worker at a time to work on a part of a run."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from batchord.core.reasons import LossCause
from batchord.core.run.logs import AttemptName
from batchord.core.run.records import Position
from batchord.core.run.results import Destination
from batchord.core.run.runs import Run

Work = TypeVar("Work")


@dataclass(frozen=True, kw_only=True)
class Lease(Generic[Work]):
    """The right to work on a step or a shard and to write its result, until another worker claims it.

    It holds as long as the ledger has the same token.
    """

    run_id: str
    pipeline: str
    step: str
    #: Index of the shard; None: the step as a whole.
    shard: int | None = None
    #: Counts from 1. An attempt counts before any work, so that one that kills its worker counts, too.
    attempt: int
    token: str
    #: Attempts that ended with the death or the disappearance of their worker.
    losses: int = 0
    #: How earlier attempts ended. For a shard, all their errors; for a step, how its last worker was lost.
    last_error: str | None = None
    #: Why the last attempt was lost; None if it was not lost or there was none.
    cause: LossCause | None = None
    #: The work to do, with the results of earlier attempts that matter for it.
    work: Work

    @property
    def attempt_name(self) -> AttemptName:
        """The name of the attempt, for its log."""
        return AttemptName(self.run_id, self.step, self.shard, self.attempt)

    def __str__(self) -> str:
        """The step or the shard of the lease, as the beginning of a sentence."""
        if self.shard is None:
            return f"Step {self.step} of run {self.run_id}"
        return f"Shard {self.shard} of step {self.step} in run {self.run_id}"


@dataclass(frozen=True, kw_only=True)
class StepWork:
    """A step that is planned, or executed as a whole."""

    run: Run
    #: Attempts that ended with an error of the step itself, or at its time limit.
    retried: int = 0
    #: Attempts that were given back for other reasons, such as a server that is away.
    handed_back: int = 0
    #: Whether an earlier lost attempt had begun work that cannot be undone. Nobody knows how much of it was done.
    begun_before: bool = False
    #: The output that an earlier attempt committed together with its work, before it died without recording its end.
    committed: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class ShardWork:
    """A shard that is predicted."""

    first: Position
    last: Position
    planned: int
    #: Records that earlier attempts at this shard accounted for.
    accounted_before: int
    #: Whether no record of its range was accounted for when it was planned.
    dense: bool
    model_version: str
    window: tuple[datetime, datetime] | None
    #: The digest of the step's code at its planning, and the time of that; None: an earlier release planned it.
    code: str | None = None
    planned_at: datetime | None = None
    #: Where predictions are written; None: the step has no table yet, because an earlier release planned it.
    destination: Destination | None = None


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
    """A worker's report about a shard that it has finished."""

    #: Records of the range for which this shard had to account, in all its attempts.
    found: int
    #: Seconds in each phase: ``fetch``, ``predict``, ``write``, which overlap; and in all: ``work``.
    timings: dict[str, float]
    #: What the model ran on, such as ``cpu`` or ``cuda``; None when it did not run.
    runs_on: str | None = None
