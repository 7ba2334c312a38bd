"""Leases on steps: workers claim them, extend them and give them back, or lose them when they die."""

from uuid import uuid4

from batchord.core.reasons import LossCause
from batchord.core.run.leases import Lease, StepLease, StepWork
from batchord.ledger.connection import Connection
from batchord.ledger.masked_text import masked_text
from batchord.ledger.rows import find_run

#: A step that becomes shards is planned under its lease; every other step is executed under it.
_HELD = "(state = 'planning' OR (state = 'running' AND NOT sharded))"
_CLAIM = f"""
    WITH old AS (
        SELECT run_id, name, attempt FROM batchord.steps
        WHERE run_id = %(run)s AND name = %(step)s AND (%(sharded)s::bool IS NULL OR sharded = %(sharded)s)
          AND (state = 'ready' OR ({_HELD} AND lease_until < batchord.now()))
          AND EXISTS (SELECT FROM batchord.runs WHERE id = %(run)s AND state = 'running')
        FOR NO KEY UPDATE
    ), vanished AS (
        -- Nobody knows how this attempt ended, unless that was recorded before.
        UPDATE batchord.attempts AS before SET state = 'lost',
            finished_at = coalesce(before.finished_at, batchord.now()),
            error = coalesce(before.error, 'lost: the worker vanished'),
            cause = coalesce(before.cause, '{LossCause.VANISHED}')
        FROM old WHERE before.run_id = old.run_id AND before.step = old.name AND before.shard = -1
          AND before.attempt = old.attempt AND before.state IN ('running', 'lost')
        RETURNING before.error, before.cause
    ), history AS (
        -- It shows the state before this statement: the attempt that has just vanished is still running. An attempt
        -- that its time limit ended has failed and is certainly over.
        SELECT count(*) FILTER (WHERE state = 'retried' OR late)::int AS retried,
               count(*) FILTER (WHERE state = 'handed back')::int AS handed_back,
               count(*) FILTER (WHERE state IN ('lost', 'running') AND NOT late)::int AS losses,
               coalesce(bool_or(state IN ('lost', 'running') AND NOT late AND begun_at IS NOT NULL), false) AS begun
        FROM (SELECT before.state, before.begun_at,
                     before.state = 'lost' AND before.cause IS NOT DISTINCT FROM '{LossCause.OUT_OF_TIME}' AS late
              FROM batchord.attempts AS before JOIN old
                ON before.run_id = old.run_id AND before.step = old.name AND before.shard = -1) AS attempts
    ), claimed AS (
        UPDATE batchord.steps AS step SET
            state = CASE WHEN step.sharded THEN 'planning' ELSE 'running' END,
            attempt = step.attempt + 1, resent = 0, lease_token = %(token)s, worker = %(worker)s,
            lease_until = batchord.now() + make_interval(secs => %(lease)s),
            started_at = coalesce(step.started_at, batchord.now())
        FROM old WHERE step.run_id = old.run_id AND step.name = old.name
        RETURNING step.run_id, step.name, step.attempt, step.committed
    ), entered AS (
        INSERT INTO batchord.attempts (run_id, step, attempt, worker, task)
        SELECT run_id, name, attempt, %(worker)s, %(task)s FROM claimed
    )
    SELECT attempt, committed, retried, handed_back, losses, begun, vanished.error AS lost, vanished.cause
    FROM claimed CROSS JOIN history LEFT JOIN vanished ON true
"""
_OWNED = f"run_id = %(run)s AND name = %(step)s AND lease_token = %(token)s AND {_HELD}"
_BEGIN = f"""
    UPDATE batchord.attempts SET begun_at = batchord.now()
    WHERE run_id = %(run)s AND step = %(step)s AND shard = -1 AND attempt = %(attempt)s
      AND EXISTS (SELECT FROM batchord.steps WHERE {_OWNED} FOR NO KEY UPDATE)
"""
_RENEW = f"""
    UPDATE batchord.steps SET lease_until = batchord.now() + make_interval(secs => %(seconds)s) WHERE {_OWNED}
"""
_RELEASE = f"""
    WITH step AS (
        UPDATE batchord.steps SET state = 'ready', lease_token = NULL, lease_until = NULL, error = %(error)s,
            sent_at = batchord.now(), resent = 0, wait_seconds = %(wait)s
        WHERE {_OWNED} RETURNING run_id, name, attempt
    )
    UPDATE batchord.attempts AS attempt SET state = %(state)s, error = %(error)s, finished_at = batchord.now()
    FROM step WHERE attempt.run_id = step.run_id AND attempt.step = step.name AND attempt.shard = -1
      AND attempt.attempt = step.attempt
"""
_LOSE = f"""
    WITH step AS (
        UPDATE batchord.steps SET state = 'ready', lease_token = NULL, lease_until = NULL, error = %(error)s,
            sent_at = batchord.now(), resent = 0, wait_seconds = 0
        WHERE run_id = %(run)s AND name = %(step)s AND worker = %(worker)s AND {_HELD}
        RETURNING run_id, name, attempt
    )
    -- An attempt that had begun its work may have had effects, whatever stopped it.
    UPDATE batchord.attempts AS attempt SET error = %(error)s, cause = %(cause)s, finished_at = batchord.now(),
        state = CASE WHEN %(loss)s OR attempt.begun_at IS NOT NULL THEN 'lost' ELSE 'handed back' END
    FROM step WHERE attempt.run_id = step.run_id AND attempt.step = step.name AND attempt.shard = -1
      AND attempt.attempt = step.attempt
"""


def claim_step(
    connection: Connection,
    run_id: str,
    step: str,
    *,
    lease_seconds: float,
    worker: str,
    task: str | None,
    sharded: bool | None,
) -> StepLease | None:
    """A lease to plan or to execute a step; None if the step is done or another worker has the lease.

    ``task``: the id of the Celery task, kept with the attempt. ``sharded``: True: only if it becomes shards; False:
    only if it does not.
    """
    token = str(uuid4())
    values: dict[str, object] = {"run": run_id, "step": step, "sharded": sharded}
    values |= {"token": token, "lease": lease_seconds, "worker": worker, "task": task}
    row = connection.execute(_CLAIM, values).fetchone()
    if row is None:
        return None
    run = find_run(connection, run_id)
    return Lease(
        run_id=run_id,
        pipeline=run.pipeline,
        step=step,
        attempt=row["attempt"],
        token=token,
        losses=row["losses"],
        last_error=row["lost"],
        cause=None if row["cause"] is None else LossCause(row["cause"]),
        work=StepWork(
            run=run,
            retried=row["retried"],
            handed_back=row["handed_back"],
            begun_before=row["begun"],
            committed=row["committed"],
        ),
    )


def begin_step(connection: Connection, lease: StepLease) -> bool:
    """Notes that from now on the attempt may have had effects; False if the lease is lost."""
    return connection.execute(_BEGIN, {**_values(lease), "attempt": lease.attempt}).rowcount == 1


def renew_step(connection: Connection, lease: StepLease, seconds: float) -> bool:
    """Extends the lease; False if it is lost."""
    return connection.execute(_RENEW, {**_values(lease), "seconds": seconds}).rowcount == 1


def release_step(connection: Connection, lease: StepLease, error: str, *, wait: float, own_error: bool) -> bool:
    """Gives the step back for another attempt, due after ``wait`` seconds; False if the lease is lost.

    ``own_error``: whether the step itself failed, and not a server or the network that it needs.
    """
    state = "retried" if own_error else "handed back"
    values = {**_values(lease), "error": masked_text(error), "wait": wait, "state": state}
    return connection.execute(_RELEASE, values).rowcount == 1


def lose_step(
    connection: Connection, run_id: str, step: str, *, worker: str, cause: LossCause, error: str, loss: bool
) -> bool:
    """Notes that ``worker`` died while it executed the step, and ends its lease at once; False if it had no lease.

    ``loss``: False if the worker was told to stop. Then the attempt counts as lost only if it may have had effects.
    """
    values: dict[str, object] = {"run": run_id, "step": step, "worker": worker, "loss": loss}
    values |= {"cause": cause, "error": masked_text(error)}
    return connection.execute(_LOSE, values).rowcount == 1


def _values(lease: StepLease) -> dict[str, object]:
    return {"run": lease.run_id, "step": lease.step, "token": lease.token}
