"""Finds committed work whose message was never sent, or was lost.

Each query marks the rows that it returns as sent, in the same statement, so that two sweepers at once share the work
instead of doubling it. All queries use partial indexes over open rows, so that ended runs cost nothing, however many
there are.

When the clock steps back, times that were written before lie in the future. Leases and times of sending are set back to
now. Times that are kept for people stay as they are; the queries treat one in the future as long ago.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from batchord.core.run.messages import LONGEST_DELAY
from batchord.core.run.runs import Step
from batchord.database.own import ON_THE_LEDGER
from batchord.ledger.connection import Connections
from batchord.ledger.rows import STEP_COLUMNS, step_from, turn


class HeldWork(NamedTuple):
    """A step or a shard that a process holds which works by itself, without Celery."""

    run_id: str
    step: str
    #: None: the step as a whole.
    shard: int | None
    worker: str


class LostStep(NamedTuple):
    """A step that stands still although nobody works on it."""

    run_id: str
    step: str
    queue: str
    #: Shards to send again; empty if all shards have ended and only the message of the step's end was lost.
    indexes: tuple[int, ...]


# In the middle of a statement, while rows of a COPY or a long parameter are still to come, PostgreSQL waits for its
# client for ever. No time-out applies then; only ending the session helps. Sessions of other roles are left alone.
_END_STALLED = f"""
    WITH stalled AS MATERIALIZED (  -- otherwise the planner may end sessions before it has checked all conditions
        SELECT session.pid FROM pg_catalog.pg_stat_activity AS session
        WHERE session.datname = current_database() AND session.usename = current_user
          AND session.state = 'active' AND session.wait_event = 'ClientRead'
          AND session.state_change < clock_timestamp() - make_interval(secs => %(lease)s)
          AND EXISTS (SELECT FROM pg_catalog.pg_locks AS own WHERE own.pid = session.pid AND {ON_THE_LEDGER})
    )
    SELECT FROM stalled WHERE pg_catalog.pg_terminate_backend(pid)
"""
# Taking over such a lease at once was rejected: its owner may be alive and would lose the shard, although the token
# would keep that safe. After the lease is set back to now, a living owner renews it, and a dead owner's lease runs out
# as usual. All processes have the same setting, so no lease has twice that length.
_MEND = """
    UPDATE batchord.{table} SET
        lease_until = CASE WHEN lease_until > batchord.now() + 2 * make_interval(secs => %(lease)s)
                           THEN batchord.now() + make_interval(secs => %(lease)s) ELSE lease_until END,
        sent_at = least(sent_at, batchord.now())
    WHERE state IN ({states})
      AND (lease_until > batchord.now() + 2 * make_interval(secs => %(lease)s) OR sent_at > batchord.now())
"""
_MENDS = (
    _MEND.format(table="shards", states="'pending', 'running'"),
    _MEND.format(table="steps", states="'ready', 'planning', 'running'"),
    # No wait of an alert is longer than this: see batchord.flow.upkeep.tell.
    """
    UPDATE batchord.alerts SET due_at = batchord.now()
    WHERE closed_at IS NULL AND due_at > batchord.now() + interval '5 hours'
    """,
    # Records that arrive while the clock repeats these hours may lie below such a frontier. Without a frontier, the
    # next run reads the whole source.
    "DELETE FROM batchord.frontiers WHERE updated_at > batchord.now()",
    # Otherwise the runs of these hours would count as earlier than the reset.
    "UPDATE batchord.resets SET reset_at = batchord.now() WHERE reset_at > batchord.now()",
)
_QUEUED = f"""
    WITH working AS (
        SELECT pipeline, count(*) AS runs FROM batchord.runs WHERE state = 'running' GROUP BY pipeline
    ), waiting AS (
        SELECT run.id, run.pipeline, run.created_at, run.max_active,
               row_number() OVER (PARTITION BY run.pipeline ORDER BY {turn("run")}) AS place
        FROM batchord.runs AS run
        WHERE run.state = 'queued' AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
    )
    SELECT waiting.id FROM waiting LEFT JOIN working ON working.pipeline = waiting.pipeline
    WHERE waiting.place <= waiting.max_active - coalesce(working.runs, 0)
      AND waiting.created_at NOT BETWEEN batchord.now() - make_interval(secs => %(age)s) AND batchord.now()
    ORDER BY waiting.place, waiting.id
"""
_RUNNING = """
    SELECT run.id FROM batchord.runs AS run
    WHERE run.state = 'running'
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND run.started_at NOT BETWEEN batchord.now() - make_interval(secs => %(age)s) AND batchord.now()
      AND NOT EXISTS (SELECT FROM batchord.steps AS step
                      WHERE step.run_id = run.id AND step.state IN ('ready', 'planning', 'running'))
"""
#: A message with a wait is under way for that long. With a longer wait than the limit, the message was not sent yet.
_STEPS = f"""
    UPDATE batchord.steps AS step SET sent_at = batchord.now(), wait_seconds = 0, resent = step.resent + 1
    FROM batchord.runs AS run
    WHERE run.id = step.run_id AND run.state = 'running'
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND step.sent_at + make_interval(secs => step.wait_seconds) < batchord.now()
          - make_interval(secs => CASE WHEN step.wait_seconds > {LONGEST_DELAY} THEN 0
                                       ELSE %(age)s * 2 ^ least(step.resent, 6) END)
      AND (step.state = 'ready'
           OR ((step.state = 'planning' OR (step.state = 'running' AND NOT step.sharded))
               AND step.lease_until < batchord.now()))
    RETURNING {", ".join(f"step.{column}" for column in STEP_COLUMNS.split(", "))}
"""
_SHARDS = """
    UPDATE batchord.shards AS shard SET sent_at = batchord.now(), resent = shard.resent + 1, wait_seconds = 0
    FROM batchord.steps AS step JOIN batchord.runs AS run ON run.id = step.run_id
    WHERE step.run_id = shard.run_id AND step.name = shard.step
      AND step.state = 'running' AND run.state = 'running'
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND shard.state IN ('pending', 'running')
      AND (shard.state = 'pending' OR shard.lease_until < batchord.now())
      AND shard.sent_at + make_interval(secs => shard.wait_seconds)
          < batchord.now() - make_interval(secs => %(age)s * 2 ^ least(shard.resent, 6))
    RETURNING shard.run_id, shard.step, shard.index, step.queue
"""
_ENDS = """
    UPDATE batchord.steps AS step SET sent_at = batchord.now()
    FROM batchord.runs AS run
    WHERE run.id = step.run_id AND run.state = 'running' AND step.state = 'running' AND step.sharded
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND step.sent_at < batchord.now() - make_interval(secs => %(age)s)
      AND step.planned_at NOT BETWEEN batchord.now() - make_interval(secs => %(age)s) AND batchord.now()
      AND NOT EXISTS (SELECT FROM batchord.shards AS shard
                      WHERE shard.run_id = step.run_id AND shard.step = step.name
                        AND (shard.state IN ('pending', 'running')
                             OR shard.finished_at BETWEEN batchord.now() - make_interval(secs => %(age)s)
                                                      AND batchord.now()))
    RETURNING step.run_id, step.name, step.queue
"""
_UNFOLLOWED = """
    SELECT follow.follower, run.id FROM unnest(%(followed)s::text[], %(states)s::text[], %(followers)s::text[])
        AS follow (followed, state, follower)
    JOIN batchord.runs AS run ON run.pipeline = follow.followed AND run.state = follow.state
    JOIN batchord.pipelines AS known ON known.name = follow.follower AND known.first_seen_at < run.finished_at
    WHERE run.created_at > batchord.now() - interval '2 days'
      AND run.finished_at BETWEEN batchord.now() - interval '1 day'
                              AND batchord.now() - make_interval(secs => %(age)s)
      AND NOT EXISTS (SELECT FROM batchord.runs AS next
                      WHERE next.request = 'after:' || run.id || ':' || follow.follower)
"""
_BACKLOGS = """
    SELECT run.pipeline, run.id FROM batchord.steps AS step JOIN batchord.runs AS run ON run.id = step.run_id
    WHERE step.backlog_left AND run.state NOT IN ('queued', 'running')
      AND (step.state = 'done' OR (step.state = 'code-changed' AND run.state <> 'cancelled'))
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
      AND NOT EXISTS (SELECT FROM batchord.runs AS next WHERE next.request = 'backlog:' || run.id)
"""


#: Names of processes that work by themselves hold an "@": see batchord.processes.local_names.
_HELD_LOCALLY = """
    SELECT run.id::text AS run_id, shard.step, shard.index AS shard, shard.worker
    FROM batchord.shards AS shard JOIN batchord.runs AS run ON run.id = shard.run_id
    WHERE shard.state = 'running' AND run.state = 'running' AND position('@' IN shard.worker) > 0
      AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
    UNION ALL
    SELECT run.id::text, step.name, NULL, step.worker
    FROM batchord.steps AS step JOIN batchord.runs AS run ON run.id = step.run_id
    WHERE (step.state = 'planning' OR (step.state = 'running' AND NOT step.sharded)) AND run.state = 'running'
      AND position('@' IN step.worker) > 0 AND (%(pipeline)s::text IS NULL OR run.pipeline = %(pipeline)s)
"""

_HOLDERS = """
    SELECT held.worker, max(held.lease_until) AS until
    FROM (SELECT shard.run_id, shard.worker, shard.lease_until FROM batchord.shards AS shard
          WHERE shard.state = 'running'
          UNION ALL
          SELECT step.run_id, step.worker, step.lease_until FROM batchord.steps AS step
          WHERE step.state = 'planning' OR (step.state = 'running' AND NOT step.sharded)) AS held
    JOIN batchord.runs AS run ON run.id = held.run_id
    WHERE run.state = 'running' AND run.pipeline = %(pipeline)s AND held.lease_until > batchord.now()
    GROUP BY held.worker ORDER BY until DESC, held.worker
"""


class RecoveryQueries:
    """Finds work whose messages were lost after the commit.

    Returned steps and shards are marked as sent, so that two sweepers at once share them. ``pipeline``: only this
    pipeline.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def end_stalled(self, *, lease_seconds: float) -> int:
        """Ends the ledger's transactions whose client has stalled in a statement for so long; returns how many.

        Otherwise they would keep their locks, and everybody would wait for these.
        """
        with self._connections.transaction() as connection:
            return connection.execute(_END_STALLED, {"lease": lease_seconds}).rowcount

    def held_locally(self, *, pipeline: str | None = None) -> list[HeldWork]:
        """What processes hold that work by themselves, dead or alive."""
        with self._connections.transaction() as connection:
            rows = connection.execute(_HELD_LOCALLY, {"pipeline": pipeline}).fetchall()
        return [HeldWork(**row) for row in rows]

    def holders(self, pipeline: str) -> dict[str, datetime]:
        """The workers that hold work of the pipeline, each with the end of its lease if nobody renews it."""
        with self._connections.transaction() as connection:
            rows = connection.execute(_HOLDERS, {"pipeline": pipeline}).fetchall()
        return {row["worker"]: row["until"] for row in rows}

    def mend_times(self, *, lease_seconds: float) -> int:
        """Sets times that lie in the future, because the clock stepped back, to now; returns how many rows changed.

        A lease that is too long, and so is from before the step, lasts ``lease_seconds`` from now. Times of sending
        become now. Frontiers from the future are deleted, so that the next run reads the whole source.
        """
        with self._connections.transaction() as connection:
            return sum(connection.execute(mend, {"lease": lease_seconds}).rowcount for mend in _MENDS)

    def stale_queued_runs(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[str]:
        """The ids of queued runs that could start but have not started."""
        return [str(row["id"]) for row in self._rows(_QUEUED, older_than_seconds, pipeline)]

    def stale_running_runs(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[str]:
        """The ids of running runs without a step at work: all steps have ended, or none has started."""
        return [str(row["id"]) for row in self._rows(_RUNNING, older_than_seconds, pipeline)]

    def stale_steps(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[Step]:
        """Steps that were sent and not claimed, whose next attempt is due, or whose worker's lease ran out."""
        return [step_from(row) for row in self._rows(_STEPS, older_than_seconds, pipeline)]

    def stale_shards(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[LostStep]:
        """Planned steps with shards that were sent and not claimed or whose lease ran out, or with no open shard."""
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
        """(pipeline, run id) of each ended run that left a backlog and has no follow-up run."""
        return [(row["pipeline"], str(row["id"])) for row in self._rows(_BACKLOGS, 0, pipeline)]

    def unfollowed(
        self, follows: Sequence[tuple[str, str, str]], *, older_than_seconds: float
    ) -> list[tuple[str, str]]:
        """(following pipeline, run id) for each run of the last day that another pipeline must follow and has not.

        ``follows``: the followed pipeline, the state in which its run must end, and the pipeline that follows.
        """
        followed, states, followers = zip(*follows, strict=True) if follows else ((), (), ())
        values = {"followed": list(followed), "states": list(states), "followers": list(followers)}
        with self._connections.transaction() as connection:
            rows = connection.execute(_UNFOLLOWED, {**values, "age": older_than_seconds}).fetchall()
        return [(row["follower"], str(row["id"])) for row in rows]

    def _rows(self, query: str, age: float, pipeline: str | None) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            return connection.execute(query, {"age": age, "pipeline": pipeline}).fetchall()
