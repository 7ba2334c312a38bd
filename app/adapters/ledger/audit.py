"""What the audit asks: how often each record was accounted for, and what is still on its way."""

from collections.abc import Sequence
from datetime import datetime

from app.adapters.ledger.connection import Connections
from app.core.records import Scalar, record_key

_STATES = """
    SELECT key, predictions, rejections FROM unnest(%(keys)s::text[]) AS key,
        LATERAL (SELECT count(*)::int AS predictions FROM batchord.predictions AS old
                 WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = key) AS predicted,
        LATERAL (SELECT count(*)::int AS rejections FROM batchord.rejections AS old
                 WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = key) AS rejected
    WHERE predictions + rejections > 0
"""
_OPEN = """
    SELECT EXISTS (SELECT FROM batchord.runs WHERE pipeline = %(pipeline)s AND state IN ('queued', 'running')) AS open
"""
_WINDOWS = """
    SELECT max(window_end) AS until FROM batchord.runs WHERE pipeline = %(pipeline)s AND state = 'succeeded'
"""


class AuditQueries:
    """Implements :class:`app.core.upkeep.AuditTables`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def states(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> dict[Scalar, tuple[int, int]]:
        """See the protocol."""
        by_text = {record_key(key): key for key in keys}
        values = {"pipeline": pipeline, "step": step, "keys": list(by_text)}
        with self._connections.transaction() as connection:
            return {
                by_text[row["key"]]: (row["predictions"], row["rejections"])
                for row in connection.execute(_STATES, values)
            }

    def has_open_run(self, pipeline: str) -> bool:
        """See the protocol."""
        with self._connections.transaction() as connection:
            row = connection.execute(_OPEN, {"pipeline": pipeline}).fetchone()
            return row is not None and bool(row["open"])

    def windows_until(self, pipeline: str) -> datetime | None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            row = connection.execute(_WINDOWS, {"pipeline": pipeline}).fetchone()
            return None if row is None else row["until"]
