"""What the flow needs from the ledger, as narrow protocols.

Every method is one transaction and is committed when it returns. All raise TransientError when the
database does not answer or ends the connection; the caller may repeat the call.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from batchord.core.reasons import LossCause
from batchord.core.run.alerts import NewAlert
from batchord.core.run.frontier import Frontier
from batchord.core.run.history import Change
from batchord.core.run.predictions import Batch
from batchord.core.run.records import Scalar
from batchord.core.run.runs import Claim, NewRun, Run, RunState, ShardLease, ShardOutcome, Step, StepLease, StepState
from batchord.core.run.shards import ShardRange
from batchord.core.run.sizing import Rate
from batchord.core.run.upkeep import AlertTables, AuditTables, PipelinesTable, Pruning, Recovery


class Opened(NamedTuple):
    """The outcome of opening a run."""

    run: Run
    #: False when the run was there already: a tick sent twice.
    created: bool


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


class LockedRun(Protocol):
    """A run under its row lock: nobody else can drive it meanwhile."""

    run: Run
    steps: list[Step]

    def start(self) -> bool:
        """Makes a queued run running; False while another run of the pipeline is running or is older."""

    def set_steps(self, names: Sequence[str], state: StepState) -> None:
        """Moves steps to ``state``."""

    def holds(self, lease: StepLease) -> bool:
        """Whether the lease is still the step's."""

    def totals(self, step: str) -> StepTotals:
        """What the step's shards add up to."""

    def aggregates(self, step: str) -> dict[str, Any]:
        """Label counts, score quantiles, rejections by reason and the like, read from what was written."""

    def outputs(self) -> dict[str, dict[str, Any]]:
        """Each step's summary by its name."""

    def end_step(self, step: str, state: StepState, output: dict[str, Any], error: str | None) -> None:
        """Ends a step with its summary and adds its totals to the run's."""

    def learn(self, step: str) -> None:
        """Keeps how fast the step's shards were, for the size of the next run's."""

    def close_open(self, error: str) -> None:
        """Ends every open shard and step as failed with ``error``; leases on them are void."""

    def keep(self, change: Change | None) -> None:
        """Keeps what somebody changed of the run by hand; nothing for None."""

    def alert(self, alert: NewAlert) -> bool:
        """Keeps a message to people, once for each event; False when the event was known."""

    def alerts_kept(self, kind: str) -> int:
        """How many alerts of that kind this run has."""

    def open_incident(self, kind: str, message: str) -> None:
        """Notes that something is wrong with the pipeline, until it has recovered."""

    def close_incidents(self, kinds: Sequence[str]) -> list[tuple[str, datetime]]:
        """Notes that these are over; returns those that were open, with the times at which they began."""

    def end(self, state: RunState, summary: dict[str, Any], error: str | None) -> str | None:
        """Ends the run; returns the id of the pipeline's next queued run, if there is one."""


class Runs(Protocol):
    """Runs and steps."""

    def now(self) -> datetime:
        """The database's clock: the only one by which leases and frontiers are judged."""

    def open(self, new: NewRun) -> Opened:
        """Opens a run, or finds the one of the same pipeline, kind and slot, or of the same request."""

    def open_retry(self, new: NewRun, *, reason: str | None, keys: Sequence[str] | None) -> tuple[Run | None, int]:
        """Takes back rejections of the pipeline and opens ``new`` for them, in one transaction.

        Returns the run and how many rejections it takes; None and 0 when there were none to take back.
        """

    def get(self, run_id: str) -> Run:
        """The run. Raises ConfigurationError when there is none of that id."""

    def last_rate(self, pipeline: str, step: str) -> float | None:
        """Records per second of the step in the newest ended run that predicted any; None when there is none."""

    def lock(self, run_id: str) -> AbstractContextManager[LockedRun]:
        """The run under its row lock; committed when the block ends, rolled back when it raises."""

    def steps(self, run_id: str) -> list[Step]:
        """The run's steps in the pipeline's order."""

    def claim_step(
        self,
        run_id: str,
        step: str,
        *,
        lease_seconds: float,
        worker: str,
        task: str | None = None,
        predict: bool | None = None,
    ) -> StepLease | None:
        """The right to plan or to execute a step; None when that is done, or another worker is at it.

        ``task``: the id of the Celery task, kept with the attempt. ``predict``: True: only if it is a Predict step;
        False: only if it is none.
        """

    def begin_step(self, lease: StepLease) -> bool:
        """Notes that from now on the attempt may have had effects; False when the lease is lost."""

    def lose_step(
        self, run_id: str, step: str, *, worker: str, cause: LossCause, error: str, loss: bool = True
    ) -> bool:
        """Notes that ``worker`` died while it executed the step, and ends its lease at once; False if it held none.

        ``loss`` False: it was told to stop, which counts as a loss only if the attempt may have had effects.
        """

    def renew_step(self, lease: StepLease, *, lease_seconds: float) -> bool:
        """Keeps the lease; False when it is lost."""

    def release_step(self, lease: StepLease, error: str, *, wait: float = 0, own_error: bool = False) -> bool:
        """Gives the step back for another attempt, due after ``wait`` seconds; False when the lease is lost.

        ``own_error``: whether the step itself has failed, in contrast to what it needs.
        """


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What discovery found for one step of a run."""

    shards: Sequence[ShardRange]
    #: The queue whose workers run the step's model.
    queue: str
    #: Pinned for the whole run.
    model_version: str
    source_digest: str
    frontier: Frontier
    #: Whether more records wait than one run may take.
    backlog_left: bool
    #: What the step's code is, see :attr:`batchord.core.declared.steps.Predict.code`; None: any will do.
    code: str | None = None

    @property
    def records(self) -> int:
        """Records in all shards."""
        return sum(shard.planned for shard in self.shards)


class Planner(Protocol):
    """Discovery's side of the ledger."""

    def accounted(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
        """Those of ``keys`` that have a prediction or a rejection, whatever the model's version."""

    def frontier(self, pipeline: str, step: str, source_digest: str) -> Frontier:
        """The step's frontier; a fresh one when there is none for this digest."""

    def rates(self, pipeline: str, step: str, model_version: str) -> list[Rate]:
        """How fast workers were with this model version; empty when it has predicted nothing yet."""

    def run_outcomes(self, step: str, run_ids: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Of ``run_ids``: the runs whose step accounted for every record, and the runs whose step ended."""

    def plan(self, lease: StepLease, plan: Plan) -> bool:
        """Writes shards and frontier; False (and writes nothing) when the lease is lost."""


class Shards(Protocol):
    """The workers' side of the ledger."""

    def claim(
        self, run_id: str, step: str, index: int, *, lease_seconds: float, worker: str, task: str | None = None
    ) -> ShardLease | Claim:
        """The right to predict a shard. Counts the attempt before any work is done.

        ``task``: the id of the Celery task, kept with the attempt.
        """

    def accounted(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
        """Those of ``keys`` that have a prediction or a rejection, whatever the model's version."""

    def commit(self, lease: ShardLease, batch: Batch) -> int:
        """Writes a batch and the shard's progress in one transaction.

        Returns how many records it accounted for: fewer than given when another run was there before.
        Raises LeaseLost, and has written nothing then.
        """

    def renew(self, lease: ShardLease, *, lease_seconds: float) -> None:
        """Keeps the lease. Raises LeaseLost."""

    def finish(self, lease: ShardLease, outcome: ShardOutcome) -> None:
        """Marks the shard done. Raises LeaseLost; ConservationError when its counts do not add up."""

    def lost(
        self, run_id: str, step: str, index: int, *, worker: str, cause: LossCause, error: str, loss: bool = True
    ) -> bool:
        """Notes that ``worker`` died while it held the shard, and ends its lease at once; False if it held none.

        ``loss``: whether that counts against the shard's records.
        """

    def split(
        self, lease: ShardLease, parts: Sequence[ShardRange], *, losses: int, outcome: ShardOutcome | None = None
    ) -> list[int]:
        """Ends the shard as split and adds ``parts`` as new ones, which count ``losses`` from the start.

        Returns their indexes. Raises LeaseLost.
        """

    def blamed(self, lease: ShardLease, reasons: Sequence[str]) -> int:
        """How many records of the lease's step were rejected for one of ``reasons`` in this run."""

    def release(self, lease: ShardLease, error: str, *, wait: float = 0) -> None:
        """Gives the shard back for another attempt, due after ``wait`` seconds; nothing when the lease is lost."""

    def failure(self, run_id: str, step: str, index: int) -> str | None:
        """Why the shard has failed; None when it has not, or there is none."""

    def fail(self, lease: ShardLease, error: str) -> None:
        """Marks the shard failed for good; quietly nothing when the lease is lost."""

    def leave(self, lease: ShardLease, error: str) -> None:
        """Ends the shard as one whose code has changed, for a follow-up run; nothing when the lease is lost."""


class Ledger(Protocol):
    """The ledger as a whole: one part for each who works with it."""

    @property
    def runs(self) -> Runs:
        """Runs and steps."""

    @property
    def planner(self) -> Planner:
        """Discovery's side."""

    @property
    def shards(self) -> Shards:
        """The workers' side."""

    @property
    def recovery(self) -> Recovery:
        """The sweeper's side."""

    @property
    def audit(self) -> AuditTables:
        """The auditor's side."""

    @property
    def pipelines(self) -> PipelinesTable:
        """What was switched at run time."""

    @property
    def alerts(self) -> AlertTables:
        """Messages to people."""

    @property
    def pruning(self) -> Pruning:
        """What need not be kept any longer."""
