"""What an open run waits for."""

from typing import Any

from batchord.ledger.connection import Connections
from batchord.ledger.rows import BLOCKING, OVERLAP

_BLOCKERS = f"""
    SELECT other.id::text AS id, other.state, other.kind, run.disjoint AND {OVERLAP} AS same_records, run.max_active
    FROM batchord.runs AS run, batchord.runs AS other
    WHERE run.id = %(run)s AND {BLOCKING}
    ORDER BY other.state = 'running' DESC, other.created_at, other.id LIMIT %(limit)s
"""
_STEPS = """
    SELECT step.name, step.kind, step.sharded, step.state, step.after, step.queue, step.attempt, step.sent_at,
           step.sent_at + make_interval(secs => step.wait_seconds) AS due_at, step.wait_seconds,
           (SELECT count(*) FROM batchord.shards AS shard
            WHERE shard.run_id = step.run_id AND shard.step = step.name AND shard.state = 'pending')::int AS pending,
           (SELECT count(*) FROM batchord.shards AS shard
            WHERE shard.run_id = step.run_id AND shard.step = step.name AND shard.state = 'running')::int AS running
    FROM batchord.steps AS step WHERE step.run_id = %(run)s AND step.state IN ('pending', 'ready', 'running')
    ORDER BY step.ordinal
"""


class WaitQueries:
    """Read-only queries about open runs."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def blockers(self, run_id: str, *, limit: int) -> list[dict[str, Any]]:
        """The runs of the pipeline that count against this queued run's start, those at work first."""
        return self._rows(_BLOCKERS, {"run": run_id, "limit": limit})

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """The steps that have not started or whose shards are open, with the number of shards in each open state."""
        return self._rows(_STEPS, {"run": run_id})

    def _rows(self, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            return connection.execute(query, values).fetchall()
