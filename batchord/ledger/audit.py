"""What the audit asks: how often each record was accounted for, and what is still on its way."""

from collections.abc import Sequence
from datetime import datetime

from batchord.core.run.records import Scalar, ledger_texts
from batchord.ledger.connection import Connections

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
    """What the audit asks the ledger."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def states(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> dict[Scalar, tuple[int, int]]:
        """How many predictions and rejections each of ``keys`` has; absent when it has none."""
        by_text = ledger_texts(keys)
        values = {"pipeline": pipeline, "step": step, "keys": list(by_text)}
        found: dict[Scalar, tuple[int, int]] = {}
        with self._connections.transaction() as connection:
            for row in connection.execute(_STATES, values):
                # A key may be known by two texts, which would be once too often.
                predictions, rejections = found.get(by_text[row["key"]], (0, 0))
                found[by_text[row["key"]]] = (predictions + row["predictions"], rejections + row["rejections"])
        return found

    def has_open_run(self, pipeline: str) -> bool:
        """Whether a run of the pipeline is queued or at work."""
        with self._connections.transaction() as connection:
            row = connection.execute(_OPEN, {"pipeline": pipeline}).fetchone()
            return row is not None and bool(row["open"])

    def windows_until(self, pipeline: str) -> datetime | None:
        """Where the windows of the runs that succeeded end so far; None when there was none."""
        with self._connections.transaction() as connection:
            row = connection.execute(_WINDOWS, {"pipeline": pipeline}).fetchone()
            return None if row is None else row["until"]
