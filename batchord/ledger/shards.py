"""Shards as workers see them: claimed, renewed, written batch by batch, ended."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb

from batchord.core.errors import ConservationError, LeaseLost
from batchord.core.reasons import LossCause
from batchord.core.run.predictions import Batch
from batchord.core.run.records import Position, Scalar
from batchord.core.run.runs import Claim, ShardLease, ShardOutcome, ShardState
from batchord.core.run.shards import ShardRange
from batchord.ledger.attempts import ending
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.told import told
from batchord.ledger.written import accounted, copied, write_predictions, write_rejections

#: Still running, and the lease ran out: the worker vanished without a word. Unless the server was restarted since the
#: lease was renewed last: then nobody could renew it.
_VANISHED = """
    (shard.state = 'running' AND shard.lease_until < clock_timestamp()
     AND coalesce(shard.renewed_at > pg_postmaster_start_time(), true))
"""
_CLAIM = f"""
    WITH claimed AS (
    UPDATE batchord.shards AS shard SET
        state = 'running', attempt = shard.attempt + 1, lease_token = %(token)s, worker = %(worker)s,
        losses = shard.losses + {_VANISHED}::int,
        error = CASE WHEN {_VANISHED}
                     THEN right(concat_ws('; ', shard.error, 'lost: the worker vanished'), 2000) ELSE shard.error END,
        cause = CASE WHEN {_VANISHED} THEN '{LossCause.VANISHED}' ELSE shard.cause END,
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s), renewed_at = clock_timestamp(),
        started_at = coalesce(shard.started_at, clock_timestamp())
    FROM batchord.runs AS run JOIN batchord.steps AS planned ON planned.run_id = run.id AND planned.name = %(step)s
    WHERE shard.run_id = %(run)s AND shard.step = %(step)s AND shard.index = %(index)s
      AND run.id = shard.run_id AND run.state = 'running'
      AND (shard.state = 'pending'
           OR (shard.state = 'running' AND shard.lease_until < clock_timestamp())
           -- This very process, which could not give the shard back while the database was away.
           OR (shard.state = 'running' AND shard.worker = %(worker)s))
    RETURNING shard.run_id, shard.step, shard.index, shard.attempt, shard.losses, shard.error, shard.cause,
              shard.first_position, shard.last_position, shard.planned, shard.predicted + shard.rejected AS accounted,
              shard.dense, run.pipeline, run.models ->> shard.step AS model_version, run.window_start, run.window_end,
              planned.code, planned.planned_at
    ), vanished AS (
        UPDATE batchord.attempts AS before SET state = 'lost', error = claimed.error, finished_at = clock_timestamp(),
            cause = '{LossCause.VANISHED}'
        FROM claimed
        WHERE before.run_id = claimed.run_id AND before.step = claimed.step AND before.shard = claimed.index
          AND before.attempt < claimed.attempt AND before.state = 'running'
    ), entered AS (
        INSERT INTO batchord.attempts (run_id, step, shard, attempt, worker, task)
        SELECT run_id, step, index, attempt, %(worker)s, %(task)s FROM claimed
    )
    SELECT * FROM claimed
"""
_HELD = """
    SELECT shard.state = 'running' AND run.state = 'running' AS held
    FROM batchord.shards AS shard JOIN batchord.runs AS run ON run.id = shard.run_id
    WHERE shard.run_id = %(run)s AND shard.step = %(step)s AND shard.index = %(index)s
"""
_FAILURE = """
    SELECT coalesce(error, 'no reason was given') AS error FROM batchord.shards
    WHERE run_id = %(run)s AND step = %(step)s AND index = %(index)s AND state = 'failed'
"""
_OWNED = "run_id = %(run)s AND step = %(step)s AND index = %(index)s AND lease_token = %(token)s AND state = 'running'"
_PROGRESS = f"""
    UPDATE batchord.shards SET predicted = predicted + %(predicted)s, rejected = rejected + %(rejected)s WHERE {_OWNED}
"""
_RENEW = f"""
    UPDATE batchord.shards SET
        lease_until = clock_timestamp() + make_interval(secs => %(seconds)s), renewed_at = clock_timestamp()
    WHERE {_OWNED}
"""
_RETURNED = (
    "RETURNING shard.run_id, shard.step, shard.index, shard.attempt, shard.error, shard.cause, shard.predicted, "
    "shard.rejected"
)
_FINISH = ending(
    f"""
    UPDATE batchord.shards AS shard SET state = 'done', discovered = %(found)s, timings = %(timings)s, error = NULL,
        cause = NULL, worker_class = %(runs_on)s,
        finished_at = clock_timestamp(), lease_token = NULL, lease_until = NULL
    WHERE {_OWNED} {_RETURNED}
    """,
    state="done",
)
_RELEASE = ending(
    f"""
    UPDATE batchord.shards AS shard SET state = 'pending', sent_at = clock_timestamp(), wait_seconds = %(wait)s,
        -- The causes of earlier attempts stay: the last one alone may only say that a worker vanished.
        error = right(concat_ws('; ', error, %(error)s::text), 2000), cause = NULL,
        lease_token = NULL, lease_until = NULL WHERE {_OWNED} {_RETURNED}
    """,
    state="retried",
)
_BLAMED = """
    SELECT record_key FROM batchord.rejections
    WHERE run_id = %(run)s AND step = %(step)s AND reason = ANY(%(reasons)s)
"""
_LOST = ending(
    f"""
    UPDATE batchord.shards AS shard SET state = 'pending', losses = losses + %(loss)s::int,
        error = right(concat_ws('; ', error, %(error)s::text), 2000), cause = %(cause)s,
        lease_token = NULL, lease_until = NULL
    WHERE run_id = %(run)s AND step = %(step)s AND index = %(index)s AND state = 'running' AND worker = %(worker)s
    {_RETURNED}
    """,
    state="lost",
)
_SPLIT = ending(
    f"""
    UPDATE batchord.shards AS shard SET state = 'split', worker_class = %(runs_on)s,
        timings = %(timings)s::jsonb || jsonb_build_object('rows', planned),
        planned = predicted + rejected, discovered = predicted + rejected,
        finished_at = clock_timestamp(), lease_token = NULL, lease_until = NULL
    WHERE {_OWNED} {_RETURNED}
    """,
    state="split",
)
_HALF = """
    INSERT INTO batchord.shards
        (run_id, step, index, parent, first_position, last_position, planned, discovered, losses, error, cause)
    SELECT %(run)s, %(step)s, max(index) + 1, %(index)s, %(first)s, %(last)s, %(planned)s, %(planned)s, %(losses)s,
           %(error)s, %(cause)s
    FROM batchord.shards WHERE run_id = %(run)s AND step = %(step)s
    RETURNING index
"""
_END_BADLY = f"""
    UPDATE batchord.shards AS shard SET state = %(state)s, finished_at = clock_timestamp(),
        error = right(concat_ws('; ', error, %(error)s::text), 2000),
        -- Its range may have grown since it was planned.
        discovered = greatest(discovered, predicted + rejected),
        lease_token = NULL, lease_until = NULL WHERE {_OWNED} {_RETURNED}
"""
_FAIL, _LEAVE = (ending(_END_BADLY, state=state) for state in (ShardState.FAILED, ShardState.CODE_CHANGED))


class ShardsTable:
    """Implements :class:`batchord.core.run.ledger.Shards`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def claim(
        self, run_id: str, step: str, index: int, *, lease_seconds: float, worker: str, task: str | None = None
    ) -> ShardLease | Claim:
        """See the protocol."""
        token = str(uuid4())
        values = {"run": run_id, "step": step, "index": index}
        claim = {**values, "token": token, "worker": worker, "task": task, "lease": lease_seconds}
        with self._connections.transaction() as connection:
            row = connection.execute(_CLAIM, claim).fetchone()
            if row is None:
                found = connection.execute(_HELD, values).fetchone()
                return Claim.HELD if found is not None and found["held"] else Claim.ENDED
        window = (row["window_start"], row["window_end"])
        return ShardLease(
            run_id=run_id,
            pipeline=row["pipeline"],
            step=step,
            index=index,
            first=Position.from_json(row["first_position"]),
            last=Position.from_json(row["last_position"]),
            planned=row["planned"],
            attempt=row["attempt"],
            token=token,
            accounted_before=row["accounted"],
            dense=row["dense"],
            losses=row["losses"],
            last_error=row["error"],
            cause=None if row["cause"] is None else LossCause(row["cause"]),
            model_version=row["model_version"],
            window=None if None in window else window,
            code=row["code"],
            planned_at=row["planned_at"],
        )

    def accounted(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
        """See the protocol."""
        with self._connections.transaction() as connection:
            return accounted(connection, pipeline, step, keys)

    def commit(self, lease: ShardLease, batch: Batch) -> int:
        """See the protocol."""
        rows = copied(lease, batch.predictions)
        with self._connections.transaction(writes_results=True) as connection:
            predicted = write_predictions(connection, lease, rows)
            rejected = write_rejections(connection, lease, batch.rejections)
            # Last, and in the same transaction: when the token is another worker's, nothing was written.
            _owned(connection, _PROGRESS, lease, predicted=predicted, rejected=rejected)
            return predicted + rejected

    def renew(self, lease: ShardLease, *, lease_seconds: float) -> None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            _owned(connection, _RENEW, lease, seconds=lease_seconds)

    def finish(self, lease: ShardLease, outcome: ShardOutcome) -> None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            row = connection.execute(
                _FINISH, _values(lease, found=outcome.found, timings=Jsonb(outcome.timings), runs_on=outcome.runs_on)
            ).fetchone()
            if row is None:
                raise _lost(lease)
            if row["accounted"] != outcome.found:
                raise ConservationError(
                    f"Shard {lease.index} of step {lease.step} in run {lease.run_id} found {outcome.found} records "
                    f"and accounted for {row['accounted']}: it stays open; please report this."
                )

    def release(self, lease: ShardLease, error: str, *, wait: float = 0) -> None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            connection.execute(_RELEASE, _values(lease, error=told(error), wait=wait))

    def lost(
        self, run_id: str, step: str, index: int, *, worker: str, cause: LossCause, error: str, loss: bool = True
    ) -> bool:
        """See the protocol."""
        values: dict[str, object] = {"run": run_id, "step": step, "index": index, "worker": worker, "loss": loss}
        values |= {"cause": cause, "error": told(error)}
        with self._connections.transaction() as connection:
            return connection.execute(_LOST, values).rowcount == 1

    def split(
        self, lease: ShardLease, parts: Sequence[ShardRange], *, losses: int, outcome: ShardOutcome | None = None
    ) -> list[int]:
        """See the protocol."""
        with self._connections.transaction() as connection:
            # Two shards of one step that split at once must not take the same index.
            connection.execute(
                "SELECT FROM batchord.steps WHERE run_id = %s AND name = %s FOR NO KEY UPDATE",
                [lease.run_id, lease.step],
            )
            timings, runs_on = ({}, None) if outcome is None else (outcome.timings, outcome.runs_on)
            _owned(connection, _SPLIT, lease, timings=Jsonb(timings), runs_on=runs_on)
            return [_insert_half(connection, lease, part, losses) for part in parts]

    def blamed(self, lease: ShardLease, reasons: Sequence[str]) -> int:
        """See the protocol."""
        with self._connections.transaction() as connection:
            rows = connection.execute(_BLAMED, _values(lease, reasons=list(reasons))).fetchall()
            return len(rows)

    def failure(self, run_id: str, step: str, index: int) -> str | None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            row = connection.execute(_FAILURE, {"run": run_id, "step": step, "index": index}).fetchone()
            return None if row is None else row["error"]

    def fail(self, lease: ShardLease, error: str) -> None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            connection.execute(_FAIL, _values(lease, error=told(error), state=ShardState.FAILED))

    def leave(self, lease: ShardLease, error: str) -> None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            connection.execute(_LEAVE, _values(lease, error=told(error), state=ShardState.CODE_CHANGED))


def _insert_half(connection: Connection, lease: ShardLease, part: ShardRange, losses: int) -> int:
    values = {
        "run": lease.run_id,
        "step": lease.step,
        "index": lease.index,
        "first": Jsonb(part.first.to_json()),
        "last": Jsonb(part.last.to_json()),
        "planned": part.planned,
        # A single record must lose two workers of its own before it is blamed.
        "losses": losses if part.planned > 1 else 0,
        "error": lease.last_error,
        "cause": lease.cause,
    }
    row = connection.execute(_HALF, values).fetchone()
    assert row is not None  # noqa: S101 -- an aggregate without GROUP BY gives exactly one row
    index: int = row["index"]
    return index


def _values(lease: ShardLease, **more: Any) -> dict[str, Any]:
    return {"run": lease.run_id, "step": lease.step, "index": lease.index, "token": lease.token, **more}


def _owned(connection: Connection, statement: str, lease: ShardLease, **more: Any) -> None:
    """Runs an update that holds only while the lease does."""
    if connection.execute(statement, _values(lease, **more)).rowcount != 1:
        raise _lost(lease)


def _lost(lease: ShardLease) -> LeaseLost:
    return LeaseLost(
        f"Shard {lease.index} of step {lease.step} in run {lease.run_id} is no longer this worker's: "
        "its lease ran out and was taken over, or the run was ended."
    )
