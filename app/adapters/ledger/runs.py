"""Runs and steps: opened once, driven under a row lock, ended once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from app.adapters.ledger.aggregates import step_aggregates, step_totals
from app.adapters.ledger.connection import Connection, Connections
from app.adapters.ledger.rows import RUN_COLUMNS, run_from, step_from
from app.core.errors import ConfigurationError
from app.core.ledger import Opened, StepTotals
from app.core.records import storable
from app.core.runs import NewRun, Run, RunState, Step, StepLease, StepState

_INSERT_RUN = f"""
    INSERT INTO batchord.runs
        (id, pipeline, kind, trigger, slot, window_start, window_end, state, params, request, finished_at)
    VALUES (%(id)s, %(pipeline)s, %(kind)s, %(trigger)s, %(slot)s, %(window_start)s, %(window_end)s,
            CASE WHEN NOT %(queue)s AND EXISTS (
                SELECT FROM batchord.runs WHERE pipeline = %(pipeline)s AND state IN ('queued', 'running')
            ) THEN 'skipped' ELSE 'queued' END,
            %(params)s, %(request)s, NULL)
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


class RunsTable:
    """Implements :class:`app.core.ledger.Runs`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def now(self) -> datetime:
        """See the protocol."""
        with self._connections.transaction() as connection:
            moment: datetime = _one(connection.execute("SELECT clock_timestamp() AS now").fetchone())["now"]
            return moment

    def open(self, new: NewRun) -> Opened:
        """See the protocol."""
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
        }
        with self._connections.transaction() as connection:
            # Two requests at once must see each other's run, or both would think that none is active.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"batchord:{new.pipeline}"])
            row = connection.execute(_INSERT_RUN, values).fetchone()
            if row is None:
                return Opened(run_from(_one(connection.execute(_FIND_RUN, values).fetchone())), created=False)
            run = run_from(row)
            if run.state is RunState.SKIPPED:
                connection.execute("UPDATE batchord.runs SET finished_at = created_at WHERE id = %s", [run.id])
            else:
                for ordinal, (name, after) in enumerate(new.steps):
                    connection.execute(_INSERT_STEP, [run.id, name, ordinal, list(after)])
            return Opened(run, created=True)

    def get(self, run_id: str) -> Run:
        """See the protocol."""
        with self._connections.transaction() as connection:
            return _run(connection, run_id)

    def last_rate(self, pipeline: str, step: str) -> float | None:
        """See the protocol."""
        with self._connections.transaction() as connection:
            row = connection.execute(_LAST_RATE, {"pipeline": pipeline, "step": step}).fetchone()
            return None if row is None else row["rate"]

    @contextmanager
    def lock(self, run_id: str) -> Iterator["LockedRun"]:
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
            return StepLease(run=_run(connection, run_id), step=step, attempt=row["attempt"], token=token)

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


class LockedRun:
    """Implements :class:`app.core.ledger.LockedRun` inside one transaction."""

    def __init__(self, connection: Connection, run_id: str) -> None:
        self._connection = connection
        self.run = _run(connection, run_id, lock=True)
        self.steps: list[Step] = [
            step_from(row)
            for row in connection.execute(
                "SELECT run_id, name, after, state, attempt, error, backlog_left, queue FROM batchord.steps "
                "WHERE run_id = %s ORDER BY ordinal",
                [run_id],
            )
        ]

    def start(self) -> bool:
        """See the protocol."""
        connection, run = self._connection, self.run
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"batchord:{run.pipeline}"])
        row = connection.execute(
            """
            UPDATE batchord.runs SET state = 'running', started_at = clock_timestamp()
            WHERE id = %(id)s AND state = 'queued' AND NOT EXISTS (
                SELECT FROM batchord.runs AS other WHERE other.pipeline = %(pipeline)s AND other.id <> %(id)s
                AND (other.state = 'running'
                     OR (other.state = 'queued' AND (other.created_at, other.id) < (%(created)s, %(id)s)))
            )
            RETURNING started_at
            """,
            {"id": run.id, "pipeline": run.pipeline, "created": run.created_at},
        ).fetchone()
        if row is not None:
            self._refresh()
        return row is not None

    def set_steps(self, names: Sequence[str], state: StepState) -> None:
        """See the protocol."""
        self._connection.execute(
            "UPDATE batchord.steps SET state = %s, sent_at = CASE WHEN %s = 'ready' THEN clock_timestamp() END, "
            "finished_at = CASE WHEN %s = 'skipped' THEN clock_timestamp() END WHERE run_id = %s AND name = ANY(%s)",
            [state, state, state, self.run.id, list(names)],
        )
        self._refresh()

    def totals(self, step: str) -> StepTotals:
        """See the protocol."""
        return step_totals(self._connection, self.run.id, step)

    def aggregates(self, step: str) -> dict[str, Any]:
        """See the protocol."""
        return step_aggregates(self._connection, self.run.id, step)

    def outputs(self) -> dict[str, dict[str, Any]]:
        """See the protocol."""
        rows = self._connection.execute(
            "SELECT name, output FROM batchord.steps WHERE run_id = %s AND output IS NOT NULL ORDER BY ordinal",
            [self.run.id],
        )
        return {row["name"]: row["output"] for row in rows}

    def end_step(self, step: str, state: StepState, output: dict[str, Any], error: str | None) -> None:
        """See the protocol."""
        self._connection.execute(
            "UPDATE batchord.steps SET state = %s, output = %s, error = %s, finished_at = clock_timestamp(), "
            "lease_token = NULL, lease_until = NULL WHERE run_id = %s AND name = %s",
            [state, Jsonb(output), error and storable(error), self.run.id, step],
        )
        self._connection.execute(
            "UPDATE batchord.runs SET (discovered, predicted, rejected) = (SELECT coalesce(sum(discovered), 0), "
            "coalesce(sum(predicted), 0), coalesce(sum(rejected), 0) FROM batchord.shards WHERE run_id = %(run)s) "
            "WHERE id = %(run)s",
            {"run": self.run.id},
        )
        self._refresh()

    def end(self, state: RunState, summary: dict[str, Any], error: str | None) -> str | None:
        """See the protocol."""
        connection, run = self._connection, self.run
        connection.execute(
            "UPDATE batchord.runs SET state = %s, summary = %s, error = %s, finished_at = clock_timestamp() "
            "WHERE id = %s",
            [state, Jsonb(summary), error and storable(error), run.id],
        )
        row = connection.execute(
            "SELECT id FROM batchord.runs WHERE pipeline = %s AND state = 'queued' ORDER BY created_at, id LIMIT 1",
            [run.pipeline],
        ).fetchone()
        return None if row is None else str(row["id"])

    def _refresh(self) -> None:
        self.__init__(self._connection, self.run.id)  # type: ignore[misc]


def _run(connection: Connection, run_id: str, *, lock: bool = False) -> Run:
    query = f"SELECT {RUN_COLUMNS} FROM batchord.runs WHERE id = %s"
    row = connection.execute(query + (" FOR UPDATE" if lock else ""), [run_id]).fetchone()
    if row is None:
        raise ConfigurationError(f"There is no run {run_id}: `batchord runs` lists those there are.")
    return run_from(row)


def _one(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise ConfigurationError("The ledger gave no row where one must be: is its schema up to date?")
    return row
