"""The sums over all runs that there ever were, for counters that never fall.

Sums over the rows of runs would fall when runs are pruned, and would cost more with each run. So an ended run is
tallied once: its counts are added to rows of ``batchord.tallies``, and the run is marked, in one transaction. A sum is
then the tally and the counts of the few runs that are not tallied yet.
"""

from batchord.ledger.connection import Connections
from batchord.ledger.rows import one

#: The most runs of one transaction, so that their locks are short.
_ROWS = 1000
#: What the runs of the common table expression ``counted`` have counted, as (pipeline, name, label, value). An ended
#: run does not change any more: its shards and attempts end before it or with it. Shards and attempts are aggregated
#: for each run by itself, so that PostgreSQL cannot join whole tables: its statistics may be of before the tally.
COUNTS = """
    SELECT pipeline, 'runs' AS name, state AS label, count(*)::double precision AS value
    FROM counted WHERE state NOT IN ('queued', 'running') GROUP BY pipeline, state
    UNION ALL
    SELECT timed.pipeline, measure.name, '', measure.value
    FROM (
        SELECT pipeline, count(*) AS runs, sum(extract(epoch FROM finished_at - started_at)) AS seconds
        FROM counted WHERE state NOT IN ('queued', 'running') AND finished_at >= started_at GROUP BY pipeline
    ) AS timed
    CROSS JOIN LATERAL (VALUES ('timed_runs', runs), ('run_seconds', seconds)) AS measure (name, value)
    UNION ALL
    SELECT step.pipeline, measure.name, step.step, measure.value
    FROM (
        SELECT run.pipeline, sums.step, sum(sums.predicted) AS predicted, sum(sums.rejected) AS rejected,
               sum(sums.shards) AS shards, sum(sums.seconds) AS seconds
        FROM counted AS run CROSS JOIN LATERAL (
            SELECT shard.step, sum(shard.predicted) AS predicted, sum(shard.rejected) AS rejected,
                   count(*) FILTER (WHERE timed) AS shards,
                   coalesce(sum(extract(epoch FROM shard.finished_at - shard.started_at)) FILTER (WHERE timed), 0)
                       AS seconds
            FROM batchord.shards AS shard
            CROSS JOIN LATERAL (VALUES (shard.state = 'done' AND shard.finished_at >= shard.started_at)) AS done (timed)
            WHERE shard.run_id = run.id GROUP BY shard.step
        ) AS sums
        GROUP BY run.pipeline, sums.step
    ) AS step
    CROSS JOIN LATERAL (VALUES
        ('predicted', predicted), ('rejected', rejected), ('shards', shards), ('shard_seconds', seconds)
    ) AS measure (name, value)
    UNION ALL
    SELECT run.pipeline, 'lost', lost.cause, sum(lost.attempts)
    FROM counted AS run CROSS JOIN LATERAL (
        SELECT coalesce(attempt.cause, 'ended') AS cause, count(*) AS attempts FROM batchord.attempts AS attempt
        WHERE attempt.run_id = run.id AND attempt.state = 'lost' GROUP BY 1
    ) AS lost
    GROUP BY run.pipeline, lost.cause
"""
_TALLY = f"""
    WITH counted AS MATERIALIZED (
        SELECT id, pipeline, state, started_at, finished_at FROM batchord.runs
        WHERE NOT tallied AND state NOT IN ('queued', 'running')
        ORDER BY id LIMIT %(rows)s FOR NO KEY UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE batchord.runs AS run SET tallied = true FROM counted WHERE run.id = counted.id RETURNING run.id
    ), added AS (
        INSERT INTO batchord.tallies AS tally (pipeline, name, label, value)
        SELECT pipeline, name, label, value FROM ({COUNTS}) AS counts
        ORDER BY pipeline, name, label  -- two at the same time lock the rows in the same order
        ON CONFLICT (pipeline, name, label) DO UPDATE SET value = tally.value + excluded.value
    )
    SELECT count(*) AS runs FROM marked
"""


class Tallies:
    """Adds up what ended runs have counted."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def tally(self, *, times: int = 1) -> int:
        """Tallies ended runs that are not tallied yet, some at a time; returns how many.

        Several callers share the work.
        """
        total = 0
        for _ in range(times):
            with self._connections.transaction() as connection:
                runs = one(connection.execute(_TALLY, {"rows": _ROWS}).fetchone())["runs"]
            total += runs
            if runs < _ROWS:
                break
        return total

    def tally_all(self) -> int:
        """Tallies all of them; returns how many."""
        total = 0
        while runs := self.tally():
            total += runs
        return total
