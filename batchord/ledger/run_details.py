"""Reads what the page of one run shows: a bounded number of rows, however many shards the run has."""

from typing import Any

from batchord.ledger.connection import Connections

_PROGRESS = """
    SELECT step.name AS step, step.state, step.reused,
           count(shard.index) FILTER (WHERE shard.state <> 'split')::int AS shards,
           count(*) FILTER (WHERE shard.state = 'done')::int AS done,
           count(*) FILTER (WHERE shard.state = 'running')::int AS running,
           count(*) FILTER (WHERE shard.state = 'pending')::int AS waiting,
           count(*) FILTER (WHERE shard.state IN ('failed', 'code-changed'))::int AS failed,
           count(*) FILTER (WHERE shard.state = 'split')::int AS split,
           coalesce(sum(shard.discovered), 0)::bigint AS discovered,
           coalesce(sum(shard.predicted), 0)::bigint AS predicted,
           coalesce(sum(shard.rejected), 0)::bigint AS rejected,
           min(shard.started_at) AS began_at, max(shard.finished_at) AS finished_at, batchord.now() AS now,
           coalesce(sum((shard.timings ->> 'fetch')::float8), 0) AS fetch,
           coalesce(sum((shard.timings ->> 'predict')::float8), 0) AS predict,
           coalesce(sum((shard.timings ->> 'write')::float8), 0) AS write
    FROM batchord.steps AS step
    LEFT JOIN batchord.shards AS shard ON shard.run_id = step.run_id AND shard.step = step.name
    WHERE step.run_id = %(run)s AND step.sharded
    GROUP BY step.name, step.state, step.reused, step.ordinal ORDER BY step.ordinal
"""
#: Those at work first, then those that had trouble, then the longest.
_NOTABLE = """
    SELECT step, nullif(shard, -1) AS shard, attempt, worker, state, cause, task, error, started_at, finished_at,
           begun_at, count(*) OVER ()::int AS total
    FROM batchord.attempts WHERE run_id = %(run)s
    ORDER BY (state = 'running') DESC, (state NOT IN ('done', 'cancelled') OR attempt > 1) DESC,
             coalesce(finished_at, started_at) - started_at DESC, started_at, step, shard, attempt
    LIMIT %(limit)s
"""
_FAILURES = """
    SELECT step, nullif(shard, -1) AS shard, attempt, worker, state, error, failure, started_at, finished_at, begun_at
    FROM batchord.attempts WHERE run_id = %(run)s AND failure IS NOT NULL
    ORDER BY started_at, step, shard, attempt LIMIT %(limit)s
"""
#: Of a run with very many rejections, only the first that the index gives are looked at.
_SAMPLES = """
    SELECT pipeline, step, key, reason, detail, attempts, model_version, run_id::text AS run_id, rejected_at, found
    FROM (
        SELECT pipeline, step, record_key AS key, reason, detail, attempts, model_version, run_id, rejected_at,
               row_number() OVER same AS place, count(*) OVER (PARTITION BY step, reason)::int AS found
        FROM (SELECT * FROM batchord.rejections WHERE run_id = %(run)s LIMIT %(most)s) AS looked_at
        WINDOW same AS (PARTITION BY step, reason ORDER BY rejected_at DESC, record_key)
    ) AS placed
    WHERE place <= %(each)s ORDER BY found DESC, step, reason, place LIMIT %(limit)s
"""


class RunDetails:
    """Read-only queries about one run."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def progress(self, run_id: str) -> list[dict[str, Any]]:
        """Of each Predict step: its shards by state, its records, its times, and the worker seconds of its phases."""
        return self._rows(_PROGRESS, {"run": run_id})

    def notable_attempts(self, run_id: str, *, limit: int) -> list[dict[str, Any]]:
        """Attempts that people look for first, each with the number of all attempts of the run as ``total``."""
        return self._rows(_NOTABLE, {"run": run_id, "limit": limit})

    def failed_attempts(self, run_id: str, *, limit: int) -> list[dict[str, Any]]:
        """The earliest attempts in which the author's code failed."""
        return self._rows(_FAILURES, {"run": run_id, "limit": limit})

    def rejection_samples(self, run_id: str, *, each: int, most: int, limit: int) -> list[dict[str, Any]]:
        """Some rejections of each step and reason, and how many rejections ``found`` has for these two.

        At most ``each`` of a step and a reason, of ``most`` rejections that are looked at.
        """
        return self._rows(_SAMPLES, {"run": run_id, "each": each, "most": most, "limit": limit})

    def _rows(self, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            return connection.execute(query, values).fetchall()
