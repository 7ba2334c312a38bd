"""A run under its row lock: the only place from which a run is driven."""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from app.adapters.ledger.aggregates import step_aggregates, step_totals
from app.adapters.ledger.alerts import keep_alert
from app.adapters.ledger.connection import Connection
from app.adapters.ledger.rates import learn_rates
from app.adapters.ledger.rows import RUN_COLUMNS, find_run, run_from, step_from
from app.core.ledger import StepTotals
from app.core.records import storable
from app.core.runs import Run, RunState, Step, StepLease, StepState

#: What may still go on in a run, by table.
_OPEN_STATES = (("shards", ["pending", "running"]), ("steps", ["pending", "ready", "planning", "running"]))


class LockedRun:
    """Implements :class:`app.core.ledger.LockedRun` inside one transaction."""

    def __init__(self, connection: Connection, run_id: str) -> None:
        self._connection = connection
        self.run: Run = find_run(connection, run_id, lock=True)
        self.steps: list[Step] = self._read_steps()

    def start(self) -> bool:
        """See the protocol."""
        connection, run = self._connection, self.run
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"batchord:{run.pipeline}"])
        row = connection.execute(
            f"""
            UPDATE batchord.runs SET state = 'running', started_at = clock_timestamp()
            WHERE id = %(id)s AND state = 'queued' AND NOT EXISTS (
                SELECT FROM batchord.runs AS other WHERE other.pipeline = %(pipeline)s AND other.id <> %(id)s
                AND (other.state = 'running'
                     OR (other.state = 'queued' AND (other.created_at, other.id) < (%(created)s, %(id)s)))
            )
            RETURNING {RUN_COLUMNS}
            """,
            {"id": run.id, "pipeline": run.pipeline, "created": run.created_at},
        ).fetchone()
        if row is not None:
            self.run = run_from(row)
        return row is not None

    def set_steps(self, names: Sequence[str], state: StepState) -> None:
        """See the protocol."""
        self._connection.execute(
            "UPDATE batchord.steps SET state = %s, sent_at = CASE WHEN %s = 'ready' THEN clock_timestamp() END, "
            "finished_at = CASE WHEN %s = 'skipped' THEN clock_timestamp() END WHERE run_id = %s AND name = ANY(%s)",
            [state, state, state, self.run.id, list(names)],
        )
        self.steps = self._read_steps()

    def holds(self, lease: StepLease) -> bool:
        """See the protocol."""
        row = self._connection.execute(
            "SELECT FROM batchord.steps WHERE run_id = %s AND name = %s AND lease_token = %s AND state = 'planning'",
            [self.run.id, lease.step, lease.token],
        ).fetchone()
        return row is not None

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
        self._count()
        self._refresh()

    def learn(self, step: str) -> None:
        """See the protocol."""
        run, version = self.run, self.run.models.get(step)
        if version is not None:
            learn_rates(self._connection, run_id=run.id, pipeline=run.pipeline, step=step, version=version)

    def close_open(self, error: str) -> None:
        """See the protocol."""
        values = {"run": self.run.id, "error": error}
        for table, states in _OPEN_STATES:
            self._connection.execute(
                f"UPDATE batchord.{table} SET state = 'failed', error = %(error)s, finished_at = clock_timestamp(), "
                f"lease_token = NULL, lease_until = NULL WHERE run_id = %(run)s AND state = ANY(%(states)s)",
                {**values, "states": states},
            )
        self._count()
        self._refresh()

    def alert(self, event: str, message: str) -> None:
        """See the protocol."""
        keep_alert(self._connection, event, pipeline=self.run.pipeline, run_id=self.run.id, message=message)

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

    def _count(self) -> None:
        self._connection.execute(
            "UPDATE batchord.runs SET (discovered, predicted, rejected) = (SELECT coalesce(sum(discovered), 0), "
            "coalesce(sum(predicted), 0), coalesce(sum(rejected), 0) FROM batchord.shards WHERE run_id = %(run)s) "
            "WHERE id = %(run)s",
            {"run": self.run.id},
        )

    def _refresh(self) -> None:
        self.run, self.steps = find_run(self._connection, self.run.id), self._read_steps()

    def _read_steps(self) -> list[Step]:
        rows = self._connection.execute(
            "SELECT run_id, name, after, state, attempt, error, backlog_left, queue FROM batchord.steps "
            "WHERE run_id = %s ORDER BY ordinal",
            [self.run.id],
        )
        return [step_from(row) for row in rows]
