"""The ledger as a whole."""

from functools import cached_property

from batchord.ledger.alerts import AlertsTable
from batchord.ledger.audit import AuditQueries
from batchord.ledger.connection import Connections
from batchord.ledger.logs import LogTable
from batchord.ledger.pipelines import PipelineRows
from batchord.ledger.planner import PlannerTables
from batchord.ledger.pruning import PruningQueries
from batchord.ledger.recovery import RecoveryQueries
from batchord.ledger.reports import Reports
from batchord.ledger.runs import RunsTable
from batchord.ledger.shards import ShardsTable


class Ledger:
    """One part for each who works with the ledger, over one pool of connections per process.

    Every method of a part is one transaction and is committed when it returns. All raise TransientError when the
    database does not answer or ends the connection; the caller may repeat the call.
    """

    def __init__(
        self, database_url: str, *, max_connections: int = 4, lock_seconds: float = 60, wait_seconds: float = 20
    ) -> None:
        """``lock_seconds``: the longest time for which a process that stands still may hold a row's lock.

        ``wait_seconds``: how long a call waits for a server that is away before it raises TransientError.
        """
        self._connections = Connections(
            database_url, max_size=max_connections, lock_seconds=lock_seconds, wait_seconds=wait_seconds
        )

    @cached_property
    def runs(self) -> RunsTable:
        """Runs and steps."""
        return RunsTable(self._connections)

    @cached_property
    def planner(self) -> PlannerTables:
        """Discovery's side."""
        return PlannerTables(self._connections)

    @cached_property
    def shards(self) -> ShardsTable:
        """The workers' side."""
        return ShardsTable(self._connections)

    @cached_property
    def recovery(self) -> RecoveryQueries:
        """The sweeper's side."""
        return RecoveryQueries(self._connections)

    @cached_property
    def audit(self) -> AuditQueries:
        """The auditor's side."""
        return AuditQueries(self._connections)

    @cached_property
    def pipelines(self) -> PipelineRows:
        """What was switched at run time."""
        return PipelineRows(self._connections)

    @cached_property
    def alerts(self) -> AlertsTable:
        """Messages to people."""
        return AlertsTable(self._connections)

    @cached_property
    def pruning(self) -> PruningQueries:
        """What need not be kept any longer."""
        return PruningQueries(self._connections)

    @cached_property
    def logs(self) -> LogTable:
        """What attempts logged."""
        return LogTable(self._connections)

    @cached_property
    def reports(self) -> Reports:
        """What people look at."""
        return Reports(self._connections)

    def check(self) -> None:
        """Asks the database whether it lets us in. Raises ConfigurationError where it never will, TransientError."""
        self._connections.check()

    def close(self) -> None:
        """Ends the connections of this process."""
        self._connections.close()
