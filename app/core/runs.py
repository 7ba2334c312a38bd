"""Runs, their steps and shards, as the ledger knows them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.core.records import Position


class RunState(StrEnum):
    """queued → running → one of the others, for good."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    #: Ended, and some records are still without a prediction or a rejection; the next run takes them.
    PARTIAL = "partial"
    FAILED = "failed"
    #: Never started: an earlier run of the pipeline was still active when the tick came.
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


class StepState(StrEnum):
    """pending → ready → planning → running → one of the others."""

    PENDING = "pending"
    #: Sent to a control worker.
    READY = "ready"
    #: A worker holds the lease and plans shards.
    PLANNING = "planning"
    #: Shards are committed.
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    #: A step before it failed.
    SKIPPED = "skipped"


class ShardState(StrEnum):
    """pending → running → one of the others."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SPLIT = "split"


class Kind(StrEnum):
    """What a run is for; with the pipeline and the slot it names a run once."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    #: Goes on with a backlog that was larger than one run.
    FOLLOW_UP = "follow-up"
    #: Takes rejections that a person sent again, or what an audit found missing.
    REPAIR = "repair"


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A run that somebody wants."""

    pipeline: str
    kind: Kind
    #: Who asked: ``schedule``, ``cli``, ``local``, ``call`` or ``backlog``.
    trigger: str
    #: The fire time that a scheduled run stands for; None for every other kind.
    slot: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    params: dict[str, Any] = field(default_factory=dict)
    #: Names the request; a second request of the same name is the same run. None means no name.
    request: str | None = None
    #: Step names with the names of the steps that each waits for, in the pipeline's order.
    steps: tuple[tuple[str, tuple[str, ...]], ...] = ()
    #: Whether the run waits for an active one to end; else it is recorded as skipped.
    queue: bool = True
    #: Whether it looks at the whole source instead of what lies above the frontier.
    full_scan: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of a pipeline."""

    id: str
    pipeline: str
    kind: str
    trigger: str
    slot: datetime | None
    window_start: datetime | None
    window_end: datetime | None
    state: RunState
    params: dict[str, Any]
    full_scan: bool
    #: Version of each Predict step's model, pinned when the step was planned.
    models: dict[str, str]
    discovered: int
    predicted: int
    rejected: int
    summary: dict[str, Any] | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """From start to finish, not below zero if the clock stepped back; None while it is not over."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


@dataclass(frozen=True, kw_only=True)
class Step:
    """One node of a run."""

    run_id: str
    name: str
    after: tuple[str, ...]
    state: StepState
    attempt: int
    error: str | None
    #: Where its shards go; None until it is planned.
    queue: str | None = None
    #: Whether more records wait than one run may take.
    backlog_left: bool = False


@dataclass(frozen=True, kw_only=True)
class StepLease:
    """The right to plan a step, until another claims it."""

    run: Run
    step: str
    attempt: int
    token: str


@dataclass(frozen=True, kw_only=True)
class ShardLease:
    """The right to predict a shard and to write its results, as long as the token is the ledger's."""

    run_id: str
    pipeline: str
    step: str
    index: int
    first: Position
    last: Position
    planned: int
    #: Counts from 1; counted before any work, so that an attempt that killed its worker counts.
    attempt: int
    token: str
    #: Records that earlier attempts at this shard accounted for.
    accounted_before: int
    #: Whether no record between its ends was accounted for when it was planned.
    dense: bool
    #: Attempts that ended with the death or the disappearance of their worker.
    losses: int
    #: What is known of the last attempt's end; None after a good one.
    last_error: str | None
    model_version: str
    window: tuple[datetime, datetime] | None

    @property
    def untouched(self) -> bool:
        """Whether none of its records can have been accounted for: runs of a pipeline follow each other."""
        return self.dense and self.attempt == 1


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


def state_at_end(steps: list[StepState], *, accounted: int) -> RunState:
    """How a run ended whose steps all ended and that accounted for so many records."""
    if all(state is StepState.DONE for state in steps):
        return RunState.SUCCEEDED
    return RunState.PARTIAL if accounted else RunState.FAILED


def ready_steps(steps: list[Step]) -> list[str]:
    """Names of pending steps whose upstream steps are all done."""
    done = {step.name for step in steps if step.state is StepState.DONE}
    return [step.name for step in steps if step.state is StepState.PENDING and done.issuperset(step.after)]


def blocked_steps(steps: list[Step]) -> list[str]:
    """Names of pending steps that can never become ready, because a step before them failed or was skipped."""
    lost = {step.name for step in steps if step.state in (StepState.FAILED, StepState.SKIPPED)}
    blocked: list[str] = []
    for _ in steps:
        found = [
            step.name
            for step in steps
            if step.state is StepState.PENDING and step.name not in blocked and lost.intersection(step.after)
        ]
        lost.update(found)
        blocked += found
    return blocked
