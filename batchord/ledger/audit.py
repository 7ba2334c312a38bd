"""The audit's queries: how often each record was accounted for, and whether a run is still open."""

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
        """How many predictions and rejections each of ``keys`` has. Keys without any are absent."""
        by_text = ledger_texts(keys)
        values = {"pipeline": pipeline, "step": step, "keys": list(by_text)}
        counts: dict[Scalar, tuple[int, int]] = {}
        with self._connections.transaction() as connection:
            for row in connection.execute(_STATES, values):
                # The ledger may hold a key under two texts. Adding up shows that it was accounted for twice.
                predictions, rejections = counts.get(by_text[row["key"]], (0, 0))
                counts[by_text[row["key"]]] = (predictions + row["predictions"], rejections + row["rejections"])
        return counts

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
