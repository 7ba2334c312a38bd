"""Reads what is shown of all pipelines together: a bounded number of rows, by index."""

from collections.abc import Sequence
from typing import Any

from batchord.ledger.connection import Connections

#: Without summaries and parameters: reading the JSON of 30 runs of each pipeline would take longer than all the rest.
_NEWEST = """
    SELECT run.* FROM unnest(%(names)s::text[]) AS wanted (name)
    CROSS JOIN LATERAL (
        SELECT id::text AS id, pipeline, kind, trigger, slot, state, discovered, predicted, rejected, created_at,
               started_at, finished_at
        FROM batchord.runs AS run WHERE pipeline = wanted.name
        ORDER BY run.created_at DESC, run.id DESC LIMIT %(each)s
    ) AS run
    ORDER BY run.pipeline, run.created_at, run.id
"""
_MODELS = """
    SELECT wanted.name AS pipeline, planned.models FROM unnest(%(names)s::text[]) AS wanted (name)
    CROSS JOIN LATERAL (
        SELECT models FROM (
            SELECT models, created_at, id FROM batchord.runs WHERE pipeline = wanted.name
            ORDER BY created_at DESC, id DESC LIMIT %(each)s
        ) AS newest
        WHERE models <> '{}' ORDER BY created_at DESC, id DESC LIMIT 1
    ) AS planned
"""
# The times in subqueries: a condition with a volatile function would use no index. Both ends of the day: of an open
# range, PostgreSQL expects a third of all alerts, and would read them all.
_ALERTS = """
    SELECT pipeline, count(*)::int AS count FROM batchord.alerts
    WHERE created_at > (SELECT batchord.now() - interval '1 day') AND created_at <= (SELECT batchord.now())
      AND pipeline = ANY(%(names)s)
    GROUP BY pipeline
"""
#: Of open runs alone: the shards that are being predicted, the steps that are executed as a whole, and the plans.
_AT_WORK = """
    SELECT run.pipeline, run.id::text AS run_id, work.step, work.shard, work.attempt, work.worker,
           extract(epoch FROM batchord.now() - work.started_at)::float8 AS seconds, count(*) OVER ()::int AS total
    FROM batchord.runs AS run
    CROSS JOIN LATERAL (
        SELECT shard.step, shard.index AS shard, attempt.attempt, attempt.worker, attempt.started_at
        FROM batchord.shards AS shard JOIN batchord.attempts AS attempt
          ON (attempt.run_id, attempt.step, attempt.shard, attempt.attempt)
           = (shard.run_id, shard.step, shard.index, shard.attempt)
        WHERE shard.run_id = run.id AND shard.state = 'running'
        UNION ALL
        SELECT step.name, NULL, attempt.attempt, attempt.worker, attempt.started_at
        FROM batchord.steps AS step JOIN batchord.attempts AS attempt
          ON (attempt.run_id, attempt.step, attempt.shard, attempt.attempt) = (step.run_id, step.name, -1, step.attempt)
        WHERE step.run_id = run.id AND (step.state = 'planning' OR step.state = 'running' AND NOT step.sharded)
    ) AS work
    WHERE run.state IN ('queued', 'running')
    ORDER BY work.started_at, run.id, work.step, work.shard LIMIT %(limit)s
"""


class Overview:
    """Read-only queries about several pipelines at once."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def newest_runs(self, names: Sequence[str], *, each: int) -> dict[str, list[dict[str, Any]]]:
        """Of each pipeline the newest runs, at most ``each``, the oldest first, without what has the form of JSON."""
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        with self._connections.transaction() as connection:
            for row in connection.execute(_NEWEST, {"names": list(names), "each": each}):
                runs[row["pipeline"]].append(row)
        return runs

    def newest_models(self, names: Sequence[str], *, each: int) -> dict[str, dict[str, str]]:
        """The model versions by step of the newest run that planned, among the newest ``each`` of a pipeline."""
        with self._connections.transaction() as connection:
            rows = connection.execute(_MODELS, {"names": list(names), "each": each})
            return {row["pipeline"]: row["models"] for row in rows}

    def alerts_of_a_day(self, names: Sequence[str]) -> dict[str, int]:
        """The number of alerts of the last 24 hours by pipeline; without those that have none."""
        with self._connections.transaction() as connection:
            return {row["pipeline"]: row["count"] for row in connection.execute(_ALERTS, {"names": list(names)})}

    def at_work(self, *, limit: int) -> list[dict[str, Any]]:
        """What workers do now, the longest first, each with the number of all as ``total``.

        ``shard`` is None for a step as a whole: it is executed, or planned.
        """
        with self._connections.transaction() as connection:
            return connection.execute(_AT_WORK, {"limit": limit}).fetchall()
