"""The ledger for checks of tables that authors name for predictions."""

from batchord.core.run.key_columns import KeyColumn
from batchord.core.run.results import TableName
from batchord.ledger.authors_tables import look_at
from batchord.ledger.connection import Connections


class ResultTables:
    """The tables of predictions."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def problems(self, pipeline: str, step: str, name: TableName, key: KeyColumn) -> list[str]:
        """What keeps the step from writing its predictions into the table, as parts of a sentence.

        A table that can be made is no problem. Raises ConfigurationError and TransientError.
        """
        with self._connections.transaction() as connection:
            return look_at(connection, pipeline, step, name, key)[0]
