"""The plan of a step, on its way from discovery to the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from batchord.core.run.frontier import Frontier
from batchord.core.run.key_columns import KeyColumn
from batchord.core.run.output_types import OutputColumn
from batchord.core.run.results import TableName
from batchord.core.run.shards import ShardRange
from batchord.core.run.sizing import Rate


@dataclass(frozen=True, kw_only=True)
class Past:
    """What the ledger says of a step's earlier runs, right before the scan of a new one."""

    #: The time by the ledger's clock.
    now: datetime
    #: A new one if the ledger has none for this digest of the source.
    frontier: Frontier
    #: Of the runs that have scanned for a candidate of the frontier: those whose step accounted for every record, and
    #: those whose step has ended.
    accounted_runs: frozenset[str]
    ended_runs: frozenset[str]
    #: The speeds of workers with the model's version; empty if it has predicted nothing yet.
    rates: Sequence[Rate]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The result of discovery for one step of a run."""

    shards: Sequence[ShardRange]
    #: The queue whose workers run the step's model.
    queue: str
    #: Pinned for the whole run.
    model_version: str
    source_digest: str
    #: The key of the step's source.
    key: KeyColumn
    #: The table that the author names for the predictions; None: Batchord chooses its name.
    into: TableName | None = None
    #: The columns that the author declares for keys of the model's output.
    outputs: Sequence[OutputColumn] = ()
    frontier: Frontier
    #: Whether more records wait than one run may take.
    backlog_left: bool
    #: The digest of the step's code, see :attr:`batchord.core.declared.steps.Predict.code`. None: any code may predict.
    code: str | None = None

    @property
    def records(self) -> int:
        """Records in all shards."""
        return sum(shard.planned for shard in self.shards)
