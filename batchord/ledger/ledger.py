"""The ledger as a whole."""

from functools import cached_property

from batchord.ledger.alerts import AlertsTable
from batchord.ledger.attempts import AttemptsTable
from batchord.ledger.audit import AuditQueries
from batchord.ledger.audits import AuditsTable
from batchord.ledger.connection import Connections
from batchord.ledger.exports import Exports
from batchord.ledger.lists import Lists
from batchord.ledger.logs import LogTable
from batchord.ledger.metrics import MetricsQueries
from batchord.ledger.moving import MovingQueries
from batchord.ledger.overview import Overview
from batchord.ledger.pipelines import PipelineRows
from batchord.ledger.planner import PlannerTables
from batchord.ledger.provenance import ProvenanceQueries
from batchord.ledger.pruning import PruningQueries
from batchord.ledger.recovery import RecoveryQueries
from batchord.ledger.reports import Reports
from batchord.ledger.resets import ResetQueries
from batchord.ledger.result_tables import ResultTables
from batchord.ledger.run_details import RunDetails
from batchord.ledger.run_lists import RunLists
from batchord.ledger.run_names import RunNames
from batchord.ledger.runs import RunsTable
from batchord.ledger.shards import ShardsTable
from batchord.ledger.tallies import Tallies
from batchord.ledger.waits import WaitQueries


class Ledger:
    """The ledger's parts, one for each kind of caller, over one pool of connections per process.

    Each method of a part is one transaction, which is committed when the method returns. Each raises TransientError if
    the database does not answer or ends the connection; then the caller may repeat the call.
    """

    def __init__(
        self, database_url: str, *, max_connections: int = 4, lock_seconds: float = 60, wait_seconds: float = 20
    ) -> None:
        """``lock_seconds``: how long a stopped process may hold row locks.

        ``wait_seconds``: how long a call waits for a server that does not answer before it raises TransientError.
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
        """For discovery."""
        return PlannerTables(self._connections)

    @cached_property
    def shards(self) -> ShardsTable:
        """For workers: shards."""
        return ShardsTable(self._connections)

    @cached_property
    def attempts(self) -> AttemptsTable:
        """For workers: the failures of attempts."""
        return AttemptsTable(self._connections)

    @cached_property
    def recovery(self) -> RecoveryQueries:
        """For the sweeper."""
        return RecoveryQueries(self._connections)

    @cached_property
    def audit(self) -> AuditQueries:
        """For the audit."""
        return AuditQueries(self._connections)

    @cached_property
    def audits(self) -> AuditsTable:
        """What audits found."""
        return AuditsTable(self._connections)

    @cached_property
    def pipelines(self) -> PipelineRows:
        """The state of pipelines, and what people switched at run time."""
        return PipelineRows(self._connections)

    @cached_property
    def alerts(self) -> AlertsTable:
        """Alerts and incidents."""
        return AlertsTable(self._connections)

    @cached_property
    def pruning(self) -> PruningQueries:
        """For deleting old rows."""
        return PruningQueries(self._connections)

    @cached_property
    def moving(self) -> MovingQueries:
        """For moving what earlier releases predicted."""
        return MovingQueries(self._connections)

    @cached_property
    def resets(self) -> ResetQueries:
        """For forgetting the results of steps."""
        return ResetQueries(self._connections)

    @cached_property
    def result_tables(self) -> ResultTables:
        """For checks of tables of predictions."""
        return ResultTables(self._connections)

    @cached_property
    def provenance(self) -> ProvenanceQueries:
        """Where the outcome of one record comes from."""
        return ProvenanceQueries(self._connections)

    @cached_property
    def logs(self) -> LogTable:
        """The logs of attempts."""
        return LogTable(self._connections)

    @cached_property
    def run_names(self) -> RunNames:
        """For finding a run by what a person writes for it."""
        return RunNames(self._connections)

    @cached_property
    def run_lists(self) -> RunLists:
        """For pages: lists of runs."""
        return RunLists(self._connections)

    @cached_property
    def run_details(self) -> RunDetails:
        """For pages: one run, however large it is."""
        return RunDetails(self._connections)

    @cached_property
    def waits(self) -> WaitQueries:
        """What open runs wait for."""
        return WaitQueries(self._connections)

    @cached_property
    def overview(self) -> Overview:
        """For pages: several pipelines at once."""
        return Overview(self._connections)

    @cached_property
    def exports(self) -> Exports:
        """For files of predictions."""
        return Exports(self._connections)

    @cached_property
    def lists(self) -> Lists:
        """Long lists for people, a page at a time."""
        return Lists(self._connections)

    @cached_property
    def reports(self) -> Reports:
        """What commands and pages show to people."""
        return Reports(self._connections)

    @cached_property
    def tallies(self) -> Tallies:
        """The sums over ended runs."""
        return Tallies(self._connections)

    @cached_property
    def metrics(self) -> MetricsQueries:
        """What metrics show."""
        return MetricsQueries(self._connections)

    def check(self) -> None:
        """Checks that the database accepts a connection.

        Raises ConfigurationError if no later attempt can succeed, TransientError if one may.
        """
        self._connections.check()

    def close(self) -> None:
        """Ends the connections of this process."""
        self._connections.close()
