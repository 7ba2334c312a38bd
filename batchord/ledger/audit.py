"""The audit's queries: how often each record was accounted for, and whether a run is still open."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import sql

from batchord.core.run.records import Scalar, ledger_texts
from batchord.ledger.connection import Connections
from batchord.ledger.readable import readable
from batchord.ledger.results import find_tables, fitting_values, has_key, place, text_of_key

#: Each text of a key once for each of its outcomes.
_OUTCOMES = """
    SELECT record_key AS key, 'prediction' AS kind FROM batchord.earlier_predictions
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[])
    UNION ALL
    SELECT record_key, 'rejection' FROM batchord.rejections
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[])
"""
_OWN = "SELECT {} AS key, 'prediction' AS kind FROM {} AS row WHERE {} UNION ALL "
_OPEN = """
    SELECT EXISTS (SELECT FROM batchord.runs WHERE pipeline = %(pipeline)s AND state IN ('queued', 'running')) AS open
"""
_WINDOWS = """
    SELECT max(window_end) AS until FROM batchord.runs
    WHERE pipeline = %(pipeline)s AND state = 'succeeded'
      -- What earlier runs predicted is forgotten: as for a new pipeline, their windows have not been read.
      AND created_at > coalesce((SELECT reset_at FROM batchord.resets
                                 WHERE pipeline = %(pipeline)s AND step = %(step)s), '-infinity')
"""


class AuditQueries:
    """The audit's queries."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def states(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> dict[Scalar, tuple[int, int]]:
        """How many predictions and rejections each of ``keys`` has. Keys without any are absent.

        Raises ConfigurationError if an author's table cannot be read.
        """
        by_text = ledger_texts(keys)
        values: dict[str, Any] = {"pipeline": pipeline, "step": step, "keys": list(by_text)}
        # The ledger may hold a key under two texts. Adding up shows that it was accounted for twice.
        counts: Counter[tuple[Scalar, str]] = Counter()
        query = sql.Composed([sql.SQL(_OUTCOMES)])
        with self._connections.transaction() as connection:
            tables = find_tables(connection, pipeline, step)
            for table in tables:
                query = sql.SQL(_OWN).format(text_of_key(table), place(table), has_key(table)) + query
            values |= fitting_values(tables, keys)
            with readable(tables):
                for row in connection.execute(query, values):
                    counts[by_text[row["key"]], row["kind"]] += 1
        return {key: (counts[key, "prediction"], counts[key, "rejection"]) for key, _ in counts}

    def has_open_run(self, pipeline: str) -> bool:
        """Whether a run of the pipeline is queued or running."""
        with self._connections.transaction() as connection:
            row = connection.execute(_OPEN, {"pipeline": pipeline}).fetchone()
            return row is not None and bool(row["open"])

    def windows_until(self, pipeline: str, step: str) -> datetime | None:
        """The latest end of a window of the pipeline's runs that succeeded after the step was last reset.

        None if there is none.
        """
        with self._connections.transaction() as connection:
            row = connection.execute(_WINDOWS, {"pipeline": pipeline, "step": step}).fetchone()
            return None if row is None else row["until"]
