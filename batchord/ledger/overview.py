"""Reads what the first page shows of each pipeline: a bounded number of rows, by index."""

from collections.abc import Sequence

from batchord.core.run.runs import Run
from batchord.ledger.connection import Connections
from batchord.ledger.rows import RUN_COLUMNS, run_from

_NEWEST = f"""
    SELECT run.* FROM unnest(%(names)s::text[]) AS wanted (name)
    CROSS JOIN LATERAL (
        SELECT {RUN_COLUMNS} FROM batchord.runs
        WHERE pipeline = wanted.name
        ORDER BY created_at DESC, id DESC LIMIT %(each)s
    ) AS run
    ORDER BY run.pipeline, run.created_at, run.id
"""
_ALERTS = """
    SELECT pipeline, count(*)::int AS count FROM batchord.alerts
    WHERE pipeline = ANY(%(names)s) AND created_at > batchord.now() - interval '1 day' GROUP BY pipeline
"""


class Overview:
    """Read-only queries about several pipelines at once."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def newest_runs(self, names: Sequence[str], *, each: int) -> dict[str, list[Run]]:
        """Of each pipeline the newest runs, at most ``each``, the oldest first."""
        runs: dict[str, list[Run]] = {name: [] for name in names}
        with self._connections.transaction() as connection:
            for row in connection.execute(_NEWEST, {"names": list(names), "each": each}):
                run = run_from(row)
                runs[run.pipeline].append(run)
        return runs

    def alerts_of_a_day(self, names: Sequence[str]) -> dict[str, int]:
        """The number of alerts of the last 24 hours by pipeline; without those that have none."""
        with self._connections.transaction() as connection:
            return {row["pipeline"]: row["count"] for row in connection.execute(_ALERTS, {"names": list(names)})}
