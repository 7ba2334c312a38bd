"""Runs, their steps and shards, as the ledger knows them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from batchord.core.run.history import Change
from batchord.core.run.times import seconds_between


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


#: The key in a step's output for the names of the steps that it chose.
CHOSEN = "chosen"
#: The ledger's name of the kind of step that becomes shards. Steps of all other kinds are executed as a whole.
PREDICT = "predict"


def becomes_shards(kind: str) -> bool:
    """Whether steps of the kind are planned and become shards, instead of being executed as a whole."""
    return kind == PREDICT


class StepState(StrEnum):
    """pending → ready → planning → running → one of the others."""

    PENDING = "pending"
    #: Its message is sent, or it waits for its next attempt.
    READY = "ready"
    #: A worker holds the lease and plans shards (Predict steps only).
    PLANNING = "planning"
    #: Workers predict its shards; or a worker holds the lease and executes the step.
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    #: Its file was edited while it was at work. A follow-up run continues with the new code.
    CODE_CHANGED = "code-changed"
    #: A branch chose other steps, or all steps before it were skipped.
    SKIPPED = "skipped"
    #: A step somewhere before it failed.
    UPSTREAM_FAILED = "upstream_failed"

    @property
    def over(self) -> bool:
        """Whether the step is over and its state is final."""
        return self not in (StepState.PENDING, StepState.READY, StepState.PLANNING, StepState.RUNNING)


class Kind(StrEnum):
    """The purpose of a run. Pipeline, kind and slot together are unique."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    #: Continues a backlog that was larger than one run.
    FOLLOW_UP = "follow-up"
    #: Predicts records whose rejections a person removed, or records that an audit found missing.
    REPAIR = "repair"
    #: Fills one window of a range that a person named. Queued runs of all other kinds start first.
    BACKFILL = "backfill"
    #: Follows a run of another pipeline.
    EVENT = "event"
    #: Repeats a run that has ended, or a part of its steps.
    RERUN = "rerun"


@dataclass(frozen=True, kw_only=True)
class NewStep:
    """A step of a new run, as its pipeline declares it now."""

    name: str
    #: The declaration's, see :attr:`batchord.core.declared.steps.Step.kind`.
    kind: str = PREDICT
    after: tuple[str, ...] = ()
    #: ``all_done_ok`` or ``always``.
    join: str = "all_done_ok"
    #: The queue in which it is executed; None for a Predict step, whose model names the queue of its shards.
    queue: str | None = None
    #: Seconds after which the process of an attempt is ended; None: never.
    time_limit: float | None = None
    #: In a rerun, for a step that is not repeated: its state in the earlier run.
    state: StepState = StepState.PENDING
    output: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A run to be opened."""

    pipeline: str
    kind: Kind
    #: Who asked for it: ``schedule``, ``cli``, ``local``, ``call``, ``backlog``, ``retry``, ``audit``, ``backfill``,
    #: ``rerun`` or ``after <pipeline>``.
    trigger: str
    #: The fire time that a scheduled run stands for; None for every other kind.
    slot: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    params: dict[str, Any] = field(default_factory=dict)
    #: Identifies the request: a second request with the same text opens no second run. None: no identity.
    request: str | None = None
    #: In the pipeline's order.
    steps: tuple[NewStep, ...] = ()
    #: What happens to it while other runs of its pipeline are active. ``queue``: it waits. ``skip``: it is recorded as
    #: skipped. ``coalesce``: it is skipped only if a queued run will read the same records.
    overlap: str = "queue"
    #: Whether it reads the whole source instead of the records above the frontier.
    full_scan: bool = False
    #: How many runs of the pipeline may be at work at once, this one included.
    max_active: int = 1
    #: Whether the windows of runs that work at once must not overlap, since they would predict the same records.
    disjoint: bool = True
    #: For a rerun: the id of the run that it repeats.
    rerun_of: str | None = None
    #: Why it must not run; then it is recorded as skipped. None: it may run.
    skip_reason: str | None = None
    #: The entry for the history, if a person opens it.
    change: Change | None = None


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
    rerun_of: str | None
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
        """Seconds from start to finish, at least 0 even if the clock stepped back; None while the run is not over."""
        return seconds_between(self.started_at, self.finished_at)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One node of a run."""

    run_id: str
    name: str
    after: tuple[str, ...]
    state: StepState
    attempt: int
    error: str | None
    #: The declaration's, see :attr:`batchord.core.declared.steps.Step.kind`.
    kind: str = PREDICT
    join: str = "all_done_ok"
    #: The queue of its shards, or of the step itself; None for a Predict step that is not planned yet.
    queue: str | None = None
    time_limit: float | None = None
    #: Whether more records wait than one run may take.
    backlog_left: bool = False
    #: Its output; None before its end.
    output: dict[str, Any] | None = None

    @property
    def sharded(self) -> bool:
        """Whether it becomes shards."""
        return becomes_shards(self.kind)

    @property
    def chose(self) -> bool:
        """Whether it chose which of the steps right after it run."""
        return CHOSEN in (self.output or {})


def state_at_end(steps: Sequence[Step], *, predicted: int) -> RunState:
    """The state of a run whose steps are all over and that predicted ``predicted`` records.

    A run is partial if only Predict steps failed and some records were predicted: the next run takes the rest. It is
    also partial if its code changed and nothing failed: then a follow-up run takes the rest.
    """
    failed = [step for step in steps if step.state is StepState.FAILED]
    if not failed:
        changed = any(step.state is StepState.CODE_CHANGED for step in steps)
        return RunState.PARTIAL if changed else RunState.SUCCEEDED
    if predicted and all(step.sharded for step in failed):
        return RunState.PARTIAL
    return RunState.FAILED
