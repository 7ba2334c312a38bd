"""A run under its row lock: the only place from which a run is driven."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from batchord.core.run.alerts import NewAlert
from batchord.core.run.history import Change
from batchord.core.run.ledger import StepTotals
from batchord.core.run.runs import Run, RunState, Step, StepLease, StepState
from batchord.ledger.aggregates import step_aggregates, step_totals
from batchord.ledger.alerts import close_incidents, keep_alert, open_incident
from batchord.ledger.attempts import end_attempts
from batchord.ledger.connection import Connection
from batchord.ledger.history import keep_change
from batchord.ledger.rates import learn_rates
from batchord.ledger.rows import RUN_COLUMNS, find_run, one, read_steps, run_from, turn
from batchord.ledger.told import told

#: What may still go on in a run, by table.
_OPEN_STATES = (("shards", ["pending", "running"]), ("steps", ["pending", "ready", "planning", "running"]))

#: Windows reach up to their ends, which are the beginnings of others. Without one a run reads everything.
_OVERLAP = """
    coalesce((run.window_start, run.window_end) OVERLAPS (other.window_start, other.window_end), true)
"""


class LockedRun:
    """Implements :class:`batchord.core.run.ledger.LockedRun` inside one transaction."""

    def __init__(self, connection: Connection, run_id: str) -> None:
        self._connection = connection
        self.run: Run = find_run(connection, run_id, lock=True)
        self.steps: list[Step] = read_steps(self._connection, self.run.id)

    def start(self) -> bool:
        """See the protocol."""
        connection, run = self._connection, self.run
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"batchord:{run.pipeline}"])
        row = connection.execute(
            f"""
            UPDATE batchord.runs AS run SET state = 'running', started_at = clock_timestamp()
            WHERE id = %(id)s AND state = 'queued' AND max_active > (
                -- One that would read the same records is in the way, however many may be at work at once.
                SELECT coalesce(sum(CASE WHEN run.disjoint AND {_OVERLAP} THEN run.max_active ELSE 1 END), 0)
                FROM batchord.runs AS other
                WHERE other.pipeline = %(pipeline)s AND other.id <> %(id)s
                  AND (other.state = 'running' OR (other.state = 'queued' AND {turn("other")} < {turn("run")}))
            )
            RETURNING {RUN_COLUMNS}
            """,
            {"id": run.id, "pipeline": run.pipeline},
        ).fetchone()
        if row is not None:
            self.run = run_from(row)
        return row is not None

    def set_steps(self, names: Sequence[str], state: StepState) -> None:
        """See the protocol."""
        self._connection.execute(
            "UPDATE batchord.steps SET state = %s, sent_at = CASE WHEN %s = 'ready' THEN clock_timestamp() END, "
            "wait_seconds = 0, resent = 0, finished_at = CASE WHEN %s THEN clock_timestamp() END "
            "WHERE run_id = %s AND name = ANY(%s)",
            [state, state, state.over, self.run.id, list(names)],
        )
        self.steps = read_steps(self._connection, self.run.id)

    def holds(self, lease: StepLease) -> bool:
        """See the protocol."""
        row = self._connection.execute(
            "SELECT FROM batchord.steps WHERE run_id = %s AND name = %s AND lease_token = %s "
            "AND state IN ('planning', 'running') FOR NO KEY UPDATE",
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
            "SELECT name, output FROM batchord.steps WHERE run_id = %s AND output IS NOT NULL AND kind = 'predict' "
            "ORDER BY ordinal",
            [self.run.id],
        )
        return {row["name"]: row["output"] for row in rows}

    def end_step(self, step: str, state: StepState, output: dict[str, Any], error: str | None) -> None:
        """See the protocol."""
        self._connection.execute(
            "UPDATE batchord.steps SET state = %s, output = %s, error = %s, finished_at = clock_timestamp(), "
            # So that its follow-up run is found where the message for it is lost.
            "backlog_left = backlog_left OR %s, "
            "lease_token = NULL, lease_until = NULL WHERE run_id = %s AND name = %s",
            [state, Jsonb(output), told(error), state is StepState.CODE_CHANGED, self.run.id, step],
        )
        end_attempts(self._connection, self.run.id, step=step, state=state, error=error)
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
        end_attempts(self._connection, self.run.id, step=None, state="cancelled", error=error)
        self._count()
        self._refresh()

    def keep(self, change: Change | None) -> None:
        """See the protocol."""
        keep_change(self._connection, change, run_id=self.run.id)

    def alert(self, alert: NewAlert) -> bool:
        """See the protocol."""
        return keep_alert(self._connection, alert)

    def alerts_kept(self, kind: str) -> int:
        """See the protocol."""
        query = "SELECT FROM batchord.alerts WHERE run_id = %s AND kind = %s"
        return self._connection.execute(query, [self.run.id, kind]).rowcount

    def open_incident(self, kind: str, message: str) -> None:
        """See the protocol."""
        open_incident(self._connection, self.run.pipeline, kind, message)

    def close_incidents(self, kinds: Sequence[str]) -> list[tuple[str, datetime]]:
        """See the protocol."""
        return close_incidents(self._connection, self.run.pipeline, kinds)

    def end(self, state: RunState, summary: dict[str, Any], error: str | None) -> str | None:
        """See the protocol."""
        connection, run = self._connection, self.run
        ended = connection.execute(
            "UPDATE batchord.runs SET state = %s, summary = %s, error = %s, finished_at = clock_timestamp() "
            f"WHERE id = %s RETURNING {RUN_COLUMNS}",
            [state, Jsonb(summary), told(error), run.id],
        ).fetchone()
        self.run = run_from(one(ended))
        row = connection.execute(
            "SELECT id FROM batchord.runs AS run WHERE pipeline = %s AND state = 'queued' "
            f"ORDER BY {turn('run')} LIMIT 1",
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
        self.run, self.steps = find_run(self._connection, self.run.id), read_steps(self._connection, self.run.id)
