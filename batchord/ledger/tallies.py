"""The sums over all runs that there ever were, for counters that never fall.

Sums over the rows of runs would fall when runs are pruned, and would cost more with each run. So an ended run is
tallied once: its counts are added to rows of ``batchord.tallies``, and the run is marked, in one transaction. A sum is
then the tally and the counts of the few runs that are not tallied yet.
"""

from batchord.ledger.connection import Connections

#: The most runs of one transaction, so that their locks are short.
_ROWS = 1000
#: What the runs of the common table expression ``counted`` have counted, as (pipeline, name, label, value). An ended
#: run does not change any more: its shards and attempts end before it or with it.
COUNTS = """
    SELECT run.pipeline, 'runs' AS name, run.state AS label, count(*)::double precision AS value
    FROM counted AS run WHERE run.state NOT IN ('queued', 'running') GROUP BY 1, 3
    UNION ALL
    SELECT run.pipeline, measure.name, '', sum(measure.value)
    FROM counted AS run CROSS JOIN LATERAL (VALUES
        ('timed_runs', 1), ('run_seconds', extract(epoch FROM run.finished_at - run.started_at)::double precision)
    ) AS measure (name, value)
    WHERE run.state NOT IN ('queued', 'running') AND run.finished_at >= run.started_at GROUP BY 1, 2
    UNION ALL
    SELECT run.pipeline, measure.name, shard.step, sum(measure.value)
    FROM counted AS run JOIN batchord.shards AS shard ON shard.run_id = run.id CROSS JOIN LATERAL (VALUES
        ('predicted', shard.predicted), ('rejected', shard.rejected)
    ) AS measure (name, value)
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT run.pipeline, measure.name, shard.step, sum(measure.value)
    FROM counted AS run JOIN batchord.shards AS shard ON shard.run_id = run.id CROSS JOIN LATERAL (VALUES
        ('shards', 1),
        ('shard_seconds', extract(epoch FROM shard.finished_at - shard.started_at)::double precision)
    ) AS measure (name, value)
    WHERE shard.state = 'done' AND shard.finished_at >= shard.started_at GROUP BY 1, 2, 3
    UNION ALL
    SELECT run.pipeline, 'lost', coalesce(attempt.cause, 'ended'), count(*)
    FROM counted AS run JOIN batchord.attempts AS attempt ON attempt.run_id = run.id
    WHERE attempt.state = 'lost' GROUP BY 1, 3
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

    def tally(self) -> int:
        """Tallies some of the ended runs that are not tallied yet; returns how many. Several callers share the work."""
        with self._connections.transaction() as connection:
            row = connection.execute(_TALLY, {"rows": _ROWS}).fetchone()
        return 0 if row is None else int(row["runs"])

    def tally_all(self) -> int:
        """Tallies all of them; returns how many."""
        total = 0
        while runs := self.tally():
            total += runs
        return total
