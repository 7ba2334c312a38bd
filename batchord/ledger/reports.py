"""Reads what commands and pages show: runs, shards, rejections."""

from collections.abc import Sequence
from typing import Any

from batchord.core.run.runs import Run
from batchord.ledger.connection import Connections
from batchord.ledger.rows import RUN_COLUMNS, run_from

_SHARDS = """
    SELECT step, index, state, planned, discovered, predicted, rejected, attempt, worker, error, timings,
           started_at, finished_at
    FROM batchord.shards WHERE run_id = %s ORDER BY step, index
"""
_STEPS = """
    SELECT name, kind, after, join_rule, state, attempt, queue, worker, reused, started_at, planned_at, finished_at,
           output, error
    FROM batchord.steps WHERE run_id = %s ORDER BY ordinal
"""
_ATTEMPTS = """
    SELECT step, nullif(shard, -1) AS shard, attempt, worker, state, error, failure, started_at, finished_at, begun_at
    FROM batchord.attempts WHERE run_id = %s ORDER BY started_at, step, shard, attempt
"""
_ALERTS = """
    SELECT event, kind, pipeline, run_id, title, message, created_at, attempts, closed_at, error,
           (SELECT count(*) FROM jsonb_object_keys(sent))::int AS receivers
    FROM batchord.alerts WHERE %(pipeline)s::text IS NULL OR pipeline = %(pipeline)s
    ORDER BY id DESC LIMIT %(limit)s
"""
_HISTORY = """
    SELECT at, action, pipeline, run_id::text AS run_id, by_user AS user, by_host AS host, way, detail
    FROM batchord.history
    WHERE (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s) AND (%(run)s::uuid IS NULL OR run_id = %(run)s)
    ORDER BY id DESC LIMIT %(limit)s
"""
_PAUSED_BY = """
    SELECT DISTINCT ON (pipeline) pipeline, by_user AS user, by_host AS host
    FROM batchord.history WHERE action = 'pause' AND pipeline = ANY(%s) ORDER BY pipeline, id DESC
"""
_COUNTS = """
    SELECT step.run_id::text AS run_id, step.name AS step,
           coalesce(sum(shard.discovered), 0)::bigint AS discovered,
           coalesce(sum(shard.predicted), 0)::bigint AS predicted,
           coalesce(sum(shard.rejected), 0)::bigint AS rejected
    FROM batchord.steps AS step
    LEFT JOIN batchord.shards AS shard ON shard.run_id = step.run_id AND shard.step = step.name
    WHERE step.run_id = ANY(%s::uuid[]) AND step.sharded AND NOT step.reused
    GROUP BY step.run_id, step.name, step.ordinal ORDER BY step.run_id, step.ordinal
"""
_TOTALS = """
    SELECT run.pipeline, coalesce(sum(shard.predicted), 0)::bigint AS predicted,
           coalesce(sum(shard.rejected), 0)::bigint AS rejected,
           bool_or(run.state IN ('queued', 'running')) AS open
    FROM batchord.runs AS run LEFT JOIN batchord.shards AS shard ON shard.run_id = run.id
    GROUP BY run.pipeline ORDER BY run.pipeline
"""
_REJECTIONS = """
    SELECT pipeline, step, record_key AS key, reason, detail, attempts, model_version, run_id, rejected_at
    FROM batchord.rejections
    WHERE (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s)
      AND (%(step)s::text IS NULL OR step = %(step)s)
      AND (%(reason)s::text IS NULL OR reason = %(reason)s)
      AND (%(run)s::uuid IS NULL OR run_id = %(run)s)
    ORDER BY rejected_at DESC, record_key LIMIT %(limit)s
"""


class Reports:
    """Read-only queries of the ledger for people. They decide nothing."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def runs(self, *, pipeline: str | None = None, state: str | None = None, limit: int = 50) -> list[Run]:
        """The newest runs, the newest first."""
        query = (
            f"SELECT {RUN_COLUMNS} FROM batchord.runs "
            "WHERE (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s) "
            "AND (%(state)s::text IS NULL OR state = %(state)s) "
            "ORDER BY created_at DESC, id DESC LIMIT %(limit)s"
        )
        with self._connections.transaction() as connection:
            rows = connection.execute(query, {"pipeline": pipeline, "state": state, "limit": limit})
            return [run_from(row) for row in rows]

    def run_by_request(self, request: str) -> Run | None:
        """The run that was opened for a request; None if there is none yet."""
        with self._connections.transaction() as connection:
            row = connection.execute(
                f"SELECT {RUN_COLUMNS} FROM batchord.runs WHERE request = %s", [request]
            ).fetchone()
            return None if row is None else run_from(row)

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """A run's steps in order."""
        return self._rows(_STEPS, [run_id])

    def shards(self, run_id: str) -> list[dict[str, Any]]:
        """A run's shards in order."""
        return self._rows(_SHARDS, [run_id])

    def attempts(self, run_id: str) -> list[dict[str, Any]]:
        """All attempts at a run's steps and shards, in order of time. ``shard`` is None for a step as a whole."""
        return self._rows(_ATTEMPTS, [run_id])

    def alerts(self, *, pipeline: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """The newest alerts, the newest first, and how many receivers have each."""
        return self._rows(_ALERTS, {"pipeline": pipeline, "limit": limit})

    def history(
        self, *, pipeline: str | None = None, run_id: str | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """The changes by hand, the newest first."""
        return self._rows(_HISTORY, {"pipeline": pipeline, "run": run_id, "limit": limit})

    def paused_by(self, pipelines: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
        """The user and the host that last paused each pipeline, as far as the history still has it."""
        rows = self._rows(_PAUSED_BY, [list(pipelines)])
        return {row["pipeline"]: (row["user"], row["host"]) for row in rows}

    def counts(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Discovered, predicted and rejected records of each Predict step of the runs, in the order of the steps."""
        return self._rows(_COUNTS, [list(run_ids)])

    def totals(self) -> list[dict[str, Any]]:
        """For each pipeline, how many records its runs have predicted and rejected, and whether a run is open."""
        return self._rows(_TOTALS, [])

    def rejections(
        self,
        *,
        pipeline: str | None = None,
        step: str | None = None,
        reason: str | None = None,
        run_id: str | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """The newest rejections, the newest first."""
        values = {"pipeline": pipeline, "step": step, "reason": reason, "run": run_id, "limit": limit}
        return self._rows(_REJECTIONS, values)

    def _rows(self, query: str, values: Any) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            return connection.execute(query, values).fetchall()
