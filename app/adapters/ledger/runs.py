"""Runs and steps: opened once, driven under a row lock, ended once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from app.adapters.ledger.connection import Connection, Connections
from app.adapters.ledger.locked_run import LockedRun
from app.adapters.ledger.rows import RUN_COLUMNS, find_run, one, run_from
from app.core.ledger import Opened
from app.core.records import storable
from app.core.runs import NewRun, Run, RunState, StepLease

_INSERT_RUN = f"""
    INSERT INTO batchord.runs
        (id, pipeline, kind, trigger, slot, window_start, window_end, state, params, request, full_scan)
    VALUES (%(id)s, %(pipeline)s, %(kind)s, %(trigger)s, %(slot)s, %(window_start)s, %(window_end)s,
            CASE WHEN NOT %(queue)s AND EXISTS (
                SELECT FROM batchord.runs WHERE pipeline = %(pipeline)s AND state IN ('queued', 'running')
            ) THEN 'skipped' ELSE 'queued' END,
            %(params)s, %(request)s, %(full_scan)s)
    ON CONFLICT DO NOTHING
    RETURNING {RUN_COLUMNS}
"""
_FIND_RUN = f"""
    SELECT {RUN_COLUMNS} FROM batchord.runs
    WHERE request = %(request)s OR (pipeline = %(pipeline)s AND kind = %(kind)s AND slot = %(slot)s)
"""
_INSERT_STEP = """
    INSERT INTO batchord.steps (run_id, name, ordinal, kind, after, state) VALUES (%s, %s, %s, 'predict', %s, 'pending')
"""
_CLAIM_STEP = """
    UPDATE batchord.steps SET
        state = 'planning', attempt = attempt + 1, lease_token = %(token)s, worker = %(worker)s,
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
        started_at = coalesce(started_at, clock_timestamp())
    WHERE run_id = %(run)s AND name = %(step)s
      AND (state = 'ready' OR (state = 'planning' AND lease_until < clock_timestamp()))
      AND EXISTS (SELECT FROM batchord.runs WHERE id = %(run)s AND state = 'running')
    RETURNING attempt
"""
_LAST_RATE = """
    SELECT (summary #>> ARRAY['steps', %(step)s, 'records_per_second'])::float8 AS rate FROM batchord.runs
    WHERE pipeline = %(pipeline)s AND predicted > 0
      AND summary #>> ARRAY['steps', %(step)s, 'records_per_second'] IS NOT NULL
    ORDER BY created_at DESC LIMIT 1
"""
_TAKE_BACK = """
    DELETE FROM batchord.rejections WHERE pipeline = %(pipeline)s
      AND (%(reason)s::text IS NULL OR reason = %(reason)s)
      AND (%(keys)s::text[] IS NULL OR record_key = ANY(%(keys)s))
      -- A run that is still at work counts on what it has rejected.
      AND NOT EXISTS (SELECT FROM batchord.runs AS run WHERE run.id = run_id AND run.state = 'running')
"""


class RunsTable:
    """Implements :class:`app.core.ledger.Runs`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def now(self) -> datetime:
        """See the protocol."""
        with self._connections.transaction() as connection:
            moment: datetime = one(connection.execute("SELECT clock_timestamp() AS now").fetchone())["now"]
            return moment

    def open(self, new: NewRun) -> Opened:
        """See the protocol."""
        with self._connections.transaction() as connection:
            return _open(connection, new)

    def open_retry(self, new: NewRun, *, reason: str | None, keys: Sequence[str] | None) -> tuple[Run | None, int]:
        """See the protocol."""
        values = {"pipeline": new.pipeline, "reason": reason, "keys": None if keys is None else list(keys)}
        with self._connections.transaction() as connection:
            taken = connection.execute(_TAKE_BACK, values).rowcount
            if not taken:
                return None, 0
            # Should this run be cancelled or fail, the next one must look below the frontier too.
            connection.execute("DELETE FROM batchord.frontiers WHERE pipeline = %(pipeline)s", values)
            return _open(connection, new).run, taken

    def get(self, run_id: str) -> Run:
        """See the protocol."""
        with self._connections.transaction() as connection:
            return find_run(connection, run_id)

    def last_rate(self, pipeline: str, step: str) -> float | None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            row = connection.execute(_LAST_RATE, {"pipeline": pipeline, "step": step}).fetchone()
            return None if row is None else row["rate"]

    @contextmanager
    def lock(self, run_id: str) -> Iterator[LockedRun]:
        """See the protocol."""
        with self._connections.transaction() as connection:
            yield LockedRun(connection, run_id)

    def claim_step(self, run_id: str, step: str, *, lease_seconds: float, worker: str) -> StepLease | None:
        """See the protocol."""
        token = str(uuid4())
        values = {"run": run_id, "step": step, "token": token, "lease": lease_seconds, "worker": worker}
        with self._connections.transaction() as connection:
            row = connection.execute(_CLAIM_STEP, values).fetchone()
            if row is None:
                return None
            return StepLease(run=find_run(connection, run_id), step=step, attempt=row["attempt"], token=token)

    def renew_step(self, lease: StepLease, *, lease_seconds: float) -> bool:
        """See the protocol."""
        with self._connections.transaction() as connection:
            return (
                connection.execute(
                    "UPDATE batchord.steps SET lease_until = clock_timestamp() + make_interval(secs => %s) "
                    "WHERE run_id = %s AND name = %s AND lease_token = %s AND state = 'planning'",
                    [lease_seconds, lease.run.id, lease.step, lease.token],
                ).rowcount
                == 1
            )

    def release_step(self, lease: StepLease, error: str) -> None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE batchord.steps SET state = 'ready', lease_token = NULL, lease_until = NULL, error = %s, "
                "sent_at = clock_timestamp() "
                "WHERE run_id = %s AND name = %s AND lease_token = %s AND state = 'planning'",
                [storable(error), lease.run.id, lease.step, lease.token],
            )


def _open(connection: Connection, new: NewRun) -> Opened:
    values = {
        "id": uuid7(),
        "pipeline": new.pipeline,
        "kind": new.kind.value,
        "trigger": new.trigger,
        "slot": new.slot,
        "window_start": new.window_start,
        "window_end": new.window_end,
        "params": Jsonb(new.params),
        "request": new.request,
        "queue": new.queue,
        "full_scan": new.full_scan,
    }
    # Two requests at once must see each other's run, or both would think that none is active.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"batchord:{new.pipeline}"])
    row = connection.execute(_INSERT_RUN, values).fetchone()
    if row is None:
        return Opened(run_from(one(connection.execute(_FIND_RUN, values).fetchone())), created=False)
    run = run_from(row)
    if run.state is RunState.SKIPPED:
        connection.execute("UPDATE batchord.runs SET finished_at = created_at WHERE id = %s", [run.id])
    else:
        for ordinal, (name, after) in enumerate(new.steps):
            connection.execute(_INSERT_STEP, [run.id, name, ordinal, list(after)])
    return Opened(run, created=True)
