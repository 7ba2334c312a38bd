"""The ledger for checks of tables for predictions."""

from collections.abc import Sequence

from batchord.core.run.key_columns import KeyColumn
from batchord.core.run.output_types import OutputColumn
from batchord.core.run.results import TableName
from batchord.ledger.authors_tables import look_at
from batchord.ledger.connection import Connections
from batchord.ledger.output_columns import problems_of_own


class ResultTables:
    """The tables of predictions."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def problems(
        self, pipeline: str, step: str, name: TableName, key: KeyColumn, outputs: Sequence[OutputColumn]
    ) -> list[str]:
        """What keeps the step from writing its predictions into the table, as parts of a sentence.

        A table that can be made is no problem. Raises ConfigurationError and TransientError.
        """
        with self._connections.transaction() as connection:
            return look_at(connection, pipeline, step, name, key, outputs=outputs)[0]

    def problems_of_own(self, pipeline: str, step: str, outputs: Sequence[OutputColumn]) -> list[str]:
        """What keeps the table whose name Batchord chooses from having these columns; raises likewise."""
        with self._connections.transaction() as connection:
            return problems_of_own(connection, pipeline, step, outputs)[1]
