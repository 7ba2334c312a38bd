"""What was committed and never published, or published and lost.

Each query marks what it returns as sent, in the same statement: two sweepers at once share the work
instead of doubling it. All start from partial indexes over open rows, so that runs which have ended cost
nothing, however many there are.

When the clock steps back, what was written before lies in the future. Leases and times of sending are brought
back to now; times that are kept for people stay as they are, and one in the future counts as long ago.
"""

from typing import Any

from app.adapters.ledger.connection import Connections
from app.core.ledger import LostStep

# Taking such a lease over at once was rejected: its owner may live, and would lose the shard, although the token
# keeps that safe. Brought back to now, a living owner renews it and a dead one's runs out, as at any other time.
# All processes have the same setting, so none can have a lease of twice that length.
_MEND = """
    UPDATE batchord.{table} SET
        lease_until = CASE WHEN lease_until > clock_timestamp() + 2 * make_interval(secs => %(lease)s)
                           THEN clock_timestamp() + make_interval(secs => %(lease)s) ELSE lease_until END,
        sent_at = least(sent_at, clock_timestamp())
    WHERE state IN ({states})
      AND (lease_until > clock_timestamp() + 2 * make_interval(secs => %(lease)s) OR sent_at > clock_timestamp())
"""
_MENDS = (
    _MEND.format(table="shards", states="'pending', 'running'"),
    _MEND.format(table="steps", states="'ready', 'planning', 'running'"),
    # What arrives in the hours that come again may be dated below such a frontier. Without one, the next run looks
    # at the whole source.
    "DELETE FROM batchord.frontiers WHERE updated_at > clock_timestamp()",
)
_QUEUED = """
    SELECT DISTINCT ON (run.pipeline) run.id FROM batchord.runs AS run
    WHERE run.state = 'queued'
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND run.created_at NOT BETWEEN clock_timestamp() - make_interval(secs => %(age)s) AND clock_timestamp()
      AND NOT EXISTS (SELECT FROM batchord.runs AS other
                      WHERE other.pipeline = run.pipeline AND other.state = 'running')
    ORDER BY run.pipeline, run.created_at, run.id
"""
_RUNNING = """
    SELECT run.id FROM batchord.runs AS run
    WHERE run.state = 'running'
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND run.started_at NOT BETWEEN clock_timestamp() - make_interval(secs => %(age)s) AND clock_timestamp()
      AND NOT EXISTS (SELECT FROM batchord.steps AS step
                      WHERE step.run_id = run.id AND step.state IN ('ready', 'planning', 'running'))
"""
_STEPS = """
    UPDATE batchord.steps AS step SET sent_at = clock_timestamp()
    FROM batchord.runs AS run
    WHERE run.id = step.run_id AND run.state = 'running'
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND step.sent_at < clock_timestamp() - make_interval(secs => %(age)s)
      AND (step.state = 'ready' OR (step.state = 'planning' AND step.lease_until < clock_timestamp()))
    RETURNING step.run_id, step.name
"""
_SHARDS = """
    UPDATE batchord.shards AS shard SET sent_at = clock_timestamp(), resent = shard.resent + 1
    FROM batchord.steps AS step JOIN batchord.runs AS run ON run.id = step.run_id
    WHERE step.run_id = shard.run_id AND step.name = shard.step
      AND step.state = 'running' AND run.state = 'running'
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND shard.state IN ('pending', 'running')
      AND (shard.state = 'pending' OR shard.lease_until < clock_timestamp())
      AND shard.sent_at < clock_timestamp() - make_interval(secs => %(age)s * 2 ^ least(shard.resent, 6))
    RETURNING shard.run_id, shard.step, shard.index, step.queue
"""
_ENDS = """
    UPDATE batchord.steps AS step SET sent_at = clock_timestamp()
    FROM batchord.runs AS run
    WHERE run.id = step.run_id AND run.state = 'running' AND step.state = 'running'
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND step.sent_at < clock_timestamp() - make_interval(secs => %(age)s)
      AND step.planned_at NOT BETWEEN clock_timestamp() - make_interval(secs => %(age)s) AND clock_timestamp()
      AND NOT EXISTS (SELECT FROM batchord.shards AS shard
                      WHERE shard.run_id = step.run_id AND shard.step = step.name
                        AND (shard.state IN ('pending', 'running')
                             OR shard.finished_at BETWEEN clock_timestamp() - make_interval(secs => %(age)s)
                                                      AND clock_timestamp()))
    RETURNING step.run_id, step.name, step.queue
"""
_BACKLOGS = """
    SELECT run.pipeline, run.id FROM batchord.steps AS step JOIN batchord.runs AS run ON run.id = step.run_id
    WHERE step.backlog_left AND step.state = 'done' AND run.state NOT IN ('queued', 'running')
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND NOT EXISTS (SELECT FROM batchord.runs AS next WHERE next.request = 'backlog:' || run.id)
"""


class RecoveryQueries:
    """Implements :class:`app.core.ledger.Recovery`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def mend_times(self, *, lease_seconds: float) -> int:
        """See the protocol."""
        with self._connections.transaction() as connection:
            return sum(connection.execute(mend, {"lease": lease_seconds}).rowcount for mend in _MENDS)

    def stale_queued_runs(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[str]:
        """See the protocol."""
        return [str(row["id"]) for row in self._rows(_QUEUED, older_than_seconds, pipeline)]

    def stale_running_runs(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[str]:
        """See the protocol."""
        return [str(row["id"]) for row in self._rows(_RUNNING, older_than_seconds, pipeline)]

    def stale_steps(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[tuple[str, str]]:
        """See the protocol."""
        return [(str(row["run_id"]), row["name"]) for row in self._rows(_STEPS, older_than_seconds, pipeline)]

    def stale_shards(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[LostStep]:
        """See the protocol."""
        lost: dict[tuple[str, str, str], list[int]] = {}
        for row in self._rows(_SHARDS, older_than_seconds, pipeline):
            lost.setdefault((str(row["run_id"]), row["step"], row["queue"]), []).append(row["index"])
        for row in self._rows(_ENDS, older_than_seconds, pipeline):
            lost.setdefault((str(row["run_id"]), row["name"], row["queue"]), [])
        return [
            LostStep(run_id=run, step=step, queue=queue, indexes=tuple(sorted(indexes)))
            for (run, step, queue), indexes in lost.items()
        ]

    def backlogs(self, *, pipeline: str | None = None) -> list[tuple[str, str]]:
        """See the protocol."""
        return [(row["pipeline"], str(row["id"])) for row in self._rows(_BACKLOGS, 0, pipeline)]

    def _rows(self, query: str, age: float, pipeline: str | None) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            return connection.execute(query, {"age": age, "pipeline": pipeline}).fetchall()
