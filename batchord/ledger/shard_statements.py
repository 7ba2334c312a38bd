"""The statements of :mod:`.shards`. Most change a shard together with its attempt."""

from batchord.core.reasons import LossCause
from batchord.ledger.attempts import ending

#: The shard is still running, but its lease ran out: its worker vanished. A shard does not count as vanished if the
#: server was restarted after the last renewal: then no worker could renew its lease.
VANISHED = """
    (shard.state = 'running' AND shard.lease_until < batchord.now()
     AND coalesce(shard.renewed_at > pg_postmaster_start_time(), true))
"""
CLAIM = f"""
    WITH claimed AS (
    UPDATE batchord.shards AS shard SET
        state = 'running', attempt = shard.attempt + 1, lease_token = %(token)s, worker = %(worker)s,
        losses = shard.losses + {VANISHED}::int,
        error = CASE WHEN {VANISHED}
                     THEN right(concat_ws('; ', shard.error, 'lost: the worker vanished'), 2000) ELSE shard.error END,
        cause = CASE WHEN {VANISHED} THEN '{LossCause.VANISHED}' ELSE shard.cause END,
        lease_until = batchord.now() + make_interval(secs => %(lease)s), renewed_at = batchord.now(),
        started_at = coalesce(shard.started_at, batchord.now())
    FROM batchord.runs AS run JOIN batchord.steps AS planned ON planned.run_id = run.id AND planned.name = %(step)s
    WHERE shard.run_id = %(run)s AND shard.step = %(step)s AND shard.index = %(index)s
      AND run.id = shard.run_id AND run.state = 'running'
      AND (shard.state = 'pending'
           OR (shard.state = 'running' AND shard.lease_until < batchord.now())
           -- This process itself has the shard: it could not give it back while the database was away.
           OR (shard.state = 'running' AND shard.worker = %(worker)s))
    RETURNING shard.run_id, shard.step, shard.index, shard.attempt, shard.losses, shard.error, shard.cause,
              shard.first_position, shard.last_position, shard.planned, shard.predicted + shard.rejected AS accounted,
              shard.dense, run.pipeline, run.models ->> shard.step AS model_version, run.window_start, run.window_end,
              planned.code, planned.planned_at
    ), vanished AS (
        UPDATE batchord.attempts AS before SET state = 'lost', error = claimed.error, finished_at = batchord.now(),
            cause = '{LossCause.VANISHED}'
        FROM claimed
        WHERE before.run_id = claimed.run_id AND before.step = claimed.step AND before.shard = claimed.index
          AND before.attempt < claimed.attempt AND before.state = 'running'
    ), entered AS (
        INSERT INTO batchord.attempts (run_id, step, shard, attempt, worker, task)
        SELECT run_id, step, index, attempt, %(worker)s, %(task)s FROM claimed
    ), place AS (
        SELECT results.* FROM claimed JOIN batchord.results AS results USING (pipeline, step)
        WHERE results.is_current
    ), writer AS (
        INSERT INTO batchord.writers (results, run_id, shard, attempt, model_version)
        SELECT place.id, claimed.run_id, claimed.index, claimed.attempt, claimed.model_version
        FROM claimed CROSS JOIN place
        RETURNING id
    )
    SELECT claimed.*, to_jsonb(place) AS place, writer.id AS writer
    FROM claimed LEFT JOIN place ON true LEFT JOIN writer ON true
"""
#: For a step that got its table only now: an earlier release had planned it.
WRITER = """
    INSERT INTO batchord.writers (results, run_id, shard, attempt, model_version)
    VALUES (%(results)s, %(run)s, %(index)s, %(attempt)s, %(version)s)
    ON CONFLICT (run_id, results, shard, attempt, model_version)
    DO UPDATE SET model_version = excluded.model_version
    RETURNING id
"""
HELD = """
    SELECT shard.state = 'running' AND run.state = 'running' AS held
    FROM batchord.shards AS shard JOIN batchord.runs AS run ON run.id = shard.run_id
    WHERE shard.run_id = %(run)s AND shard.step = %(step)s AND shard.index = %(index)s
"""
FAILURE = """
    SELECT coalesce(error, 'the ledger holds no reason') AS error FROM batchord.shards
    WHERE run_id = %(run)s AND step = %(step)s AND index = %(index)s AND state = 'failed'
"""
OWNED = "run_id = %(run)s AND step = %(step)s AND index = %(index)s AND lease_token = %(token)s AND state = 'running'"
PROGRESS = f"""
    UPDATE batchord.shards SET predicted = predicted + %(predicted)s, rejected = rejected + %(rejected)s WHERE {OWNED}
"""
RENEW = f"""
    UPDATE batchord.shards SET
        lease_until = batchord.now() + make_interval(secs => %(seconds)s), renewed_at = batchord.now()
    WHERE {OWNED}
"""
RETURNED = (
    "RETURNING shard.run_id, shard.step, shard.index, shard.attempt, shard.error, shard.cause, shard.predicted, "
    "shard.rejected"
)
FINISH = ending(
    f"""
    UPDATE batchord.shards AS shard SET state = 'done', discovered = %(found)s, timings = %(timings)s, error = NULL,
        cause = NULL, worker_class = %(runs_on)s,
        finished_at = batchord.now(), lease_token = NULL, lease_until = NULL
    WHERE {OWNED} {RETURNED}
    """,
    state="done",
)
RELEASE = ending(
    f"""
    UPDATE batchord.shards AS shard SET state = 'pending', sent_at = batchord.now(), wait_seconds = %(wait)s,
        -- The errors of earlier attempts stay: the last error alone may only say that a worker vanished.
        error = right(concat_ws('; ', error, %(error)s::text), 2000), cause = NULL,
        lease_token = NULL, lease_until = NULL WHERE {OWNED} {RETURNED}
    """,
    state="retried",
)
BLAMED = """
    SELECT record_key FROM batchord.rejections
    WHERE run_id = %(run)s AND step = %(step)s AND reason = ANY(%(reasons)s)
"""
LOST = ending(
    f"""
    UPDATE batchord.shards AS shard SET state = 'pending', losses = losses + %(loss)s::int,
        error = right(concat_ws('; ', error, %(error)s::text), 2000), cause = %(cause)s,
        lease_token = NULL, lease_until = NULL
    WHERE run_id = %(run)s AND step = %(step)s AND index = %(index)s AND state = 'running' AND worker = %(worker)s
    {RETURNED}
    """,
    state="lost",
)
SPLIT = ending(
    f"""
    UPDATE batchord.shards AS shard SET state = 'split', worker_class = %(runs_on)s,
        timings = %(timings)s::jsonb || jsonb_build_object('rows', planned),
        planned = predicted + rejected, discovered = predicted + rejected,
        finished_at = batchord.now(), lease_token = NULL, lease_until = NULL
    WHERE {OWNED} {RETURNED}
    """,
    state="split",
)
HALF = """
    INSERT INTO batchord.shards
        (run_id, step, index, parent, first_position, last_position, planned, discovered, losses, error, cause)
    SELECT %(run)s, %(step)s, max(index) + 1, %(index)s, %(first)s, %(last)s, %(planned)s, %(planned)s, %(losses)s,
           %(error)s, %(cause)s
    FROM batchord.shards WHERE run_id = %(run)s AND step = %(step)s
    RETURNING index
"""
END_BADLY = f"""
    UPDATE batchord.shards AS shard SET state = %(state)s, finished_at = batchord.now(),
        error = right(concat_ws('; ', error, %(error)s::text), 2000),
        -- The shard's range may have grown since it was planned.
        discovered = greatest(discovered, predicted + rejected),
        lease_token = NULL, lease_until = NULL WHERE {OWNED} {RETURNED}
"""
FAIL = ending(END_BADLY, state="failed")
#: Planned with other code than is loaded now: its records are left to a follow-up run.
LEAVE = ending(END_BADLY, state="code-changed")
