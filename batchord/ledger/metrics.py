"""The ledger's numbers for metrics. Each query reads a bounded number of rows, however many runs have ended."""

from typing import Any, LiteralString

from batchord.ledger.connection import Connections
from batchord.ledger.tallies import COUNTS

#: No scrape may wait for a lock or a slow disk for longer. The indexes hold a few rows, but PostgreSQL's statistics may
#: be of a time when they held all; then it would read whole tables, and think that compiling the query is worth it.
_LIMITS = "SET LOCAL statement_timeout = '5s'; SET LOCAL enable_seqscan = off; SET LOCAL jit = off"
#: What a page shows besides: it must not keep the rest waiting.
_HURRIED = f"{_LIMITS}; SET LOCAL statement_timeout = '1s'"
#: One statement, so that a run is in one of the two parts: it moves in one transaction.
_COUNTERS = f"""
    WITH counted AS MATERIALIZED (
        SELECT id, pipeline, state, started_at, finished_at FROM batchord.runs WHERE NOT tallied
    )
    SELECT pipeline, name, label, sum(value) AS value
    FROM (SELECT pipeline, name, label, value FROM batchord.tallies UNION ALL {COUNTS}) AS counts
    GROUP BY pipeline, name, label
"""
_OPEN_RUNS = """
    SELECT pipeline, state, count(*) AS runs FROM batchord.runs WHERE state IN ('queued', 'running') GROUP BY 1, 2
"""
# Newest runs of a pipeline are looked at, but not further back than this: thousands of ticks may have been skipped.
_PENDING = """
    WITH newest AS (
        SELECT pipeline.name AS pipeline, run.id FROM batchord.pipelines AS pipeline CROSS JOIN LATERAL (
            SELECT id FROM (
                SELECT id, state FROM batchord.runs
                WHERE pipeline = pipeline.name ORDER BY created_at DESC LIMIT 100
            ) AS recent WHERE state NOT IN ('queued', 'running', 'skipped') LIMIT 1
        ) AS run
    ), considered AS (
        SELECT pipeline, id, true AS open FROM batchord.runs WHERE state = 'running'
        UNION ALL
        SELECT pipeline, id, false FROM newest
    ), planned AS (
        SELECT considered.pipeline, step.name AS step, considered.open, step.planned_at,
               sum(shard.discovered - shard.predicted - shard.rejected) AS pending
        FROM considered
        JOIN batchord.steps AS step ON step.run_id = considered.id AND step.sharded AND step.planned_at IS NOT NULL
        JOIN batchord.shards AS shard ON shard.run_id = step.run_id AND shard.step = step.name
        GROUP BY considered.pipeline, considered.id, considered.open, step.name, step.planned_at
    )
    SELECT pipeline, step, sum(pending)::bigint AS pending,
           coalesce(extract(epoch FROM batchord.now() - min(planned_at) FILTER (WHERE pending > 0)), 0)
               ::double precision AS age
    FROM planned
    -- A run that has planned the step has found again what the run before it left.
    WHERE open OR NOT EXISTS (SELECT FROM planned AS other
                              WHERE other.open AND other.pipeline = planned.pipeline AND other.step = planned.step)
    GROUP BY pipeline, step
"""
_PIPELINES = """
    SELECT pipeline.name AS pipeline, pipeline.paused_at IS NOT NULL AS paused,
           extract(epoch FROM success.finished_at)::double precision AS succeeded
    FROM batchord.pipelines AS pipeline LEFT JOIN LATERAL (
        SELECT finished_at FROM batchord.runs
        WHERE pipeline = pipeline.name AND state = 'succeeded' ORDER BY created_at DESC LIMIT 1
    ) AS success ON true
"""
_INCIDENTS = "SELECT pipeline, kind FROM batchord.incidents"
_UNSENT = """
    SELECT count(*) AS alerts,
           coalesce(extract(epoch FROM batchord.now() - min(created_at)), 0)::double precision AS age
    FROM batchord.alerts WHERE closed_at IS NULL
"""
_QUEUES = """
    SELECT DISTINCT queue FROM batchord.steps WHERE state IN ('ready', 'planning', 'running') AND queue IS NOT NULL
"""


class MetricsQueries:
    """What metrics show."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def counters(self) -> list[dict[str, Any]]:
        """Sums over all runs that ever were: ``pipeline``, ``name``, ``label``, ``value``; see :mod:`.tallies`."""
        return self._rows(_COUNTERS)

    def open_runs(self) -> list[dict[str, Any]]:
        """The number of queued and running runs: ``pipeline``, ``state``, ``runs``."""
        return self._rows(_OPEN_RUNS)

    def pending(self, *, hurried: bool = False) -> list[dict[str, Any]]:
        """The discovered records without an outcome: ``pipeline``, ``step``, ``pending``, and their ``age`` in seconds.

        Of a step that no running run has planned, they are those that the pipeline's newest ended run left. The age
        is 0 if there are none. ``hurried``: raises TransientError after one second instead of five.
        """
        return self._rows(_PENDING, _HURRIED if hurried else _LIMITS)

    def pipelines(self) -> list[dict[str, Any]]:
        """Each pipeline: whether it is ``paused``, and when it last ``succeeded``, in seconds since 1970, or None."""
        return self._rows(_PIPELINES)

    def incidents(self) -> list[dict[str, Any]]:
        """What is wrong at the moment: ``pipeline`` and ``kind``."""
        return self._rows(_INCIDENTS)

    def unsent_alerts(self) -> dict[str, Any]:
        """How many ``alerts`` wait to be sent, and the ``age`` of the oldest in seconds, 0 without any."""
        (row,) = self._rows(_UNSENT)
        return row

    def queues(self) -> list[str]:
        """The queues to which the messages of open steps go."""
        return [row["queue"] for row in self._rows(_QUEUES)]

    def _rows(self, query: LiteralString, limits: LiteralString = _LIMITS) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            connection.execute(limits)
            return connection.execute(query).fetchall()
