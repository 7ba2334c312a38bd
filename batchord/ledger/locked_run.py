"""A run under its row lock. Runs are driven only from here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from batchord.core.run.alerts import NewAlert
from batchord.core.run.history import Change
from batchord.core.run.leases import StepLease
from batchord.core.run.runs import Run, RunState, Step, StepState
from batchord.core.run.totals import StepTotals
from batchord.ledger.aggregates import StepPredictions, step_aggregates, step_totals
from batchord.ledger.alerts import close_incidents, keep_alert, open_incident
from batchord.ledger.attempts import end_attempts
from batchord.ledger.connection import Connection
from batchord.ledger.history import keep_change
from batchord.ledger.masked_text import masked_text
from batchord.ledger.rates import learn_rates
from batchord.ledger.rows import BLOCKING, OVERLAP, RUN_COLUMNS, STEP_COLUMNS, one, run_from, step_from, turn

#: The counts of a run are those of all its shards.
_COUNT = f"""
    UPDATE batchord.runs SET (discovered, predicted, rejected) = (
        SELECT coalesce(sum(discovered), 0), coalesce(sum(predicted), 0), coalesce(sum(rejected), 0)
        FROM batchord.shards WHERE run_id = %(run)s)
    WHERE id = %(run)s RETURNING {RUN_COLUMNS}
"""
_END_STEP = f"""
    WITH ended AS (
        UPDATE batchord.steps SET state = %(state)s, output = %(output)s, error = %(error)s,
            finished_at = batchord.now(),
            -- With this, the sweeper finds a follow-up run whose message was lost.
            backlog_left = backlog_left OR %(changed)s, lease_token = NULL, lease_until = NULL
        WHERE run_id = %(run)s AND name = %(step)s RETURNING {STEP_COLUMNS}
    ), attempts AS (
        UPDATE batchord.attempts AS attempt
        SET state = %(state)s, error = %(error)s, finished_at = batchord.now()
        FROM ended WHERE attempt.run_id = ended.run_id AND attempt.step = ended.name AND attempt.shard = -1
          AND attempt.state = 'running'
    )
    SELECT * FROM ended
"""
#: The states of open shards and steps, by table.
_OPEN_STATES = (("shards", ["pending", "running"]), ("steps", ["pending", "ready", "planning", "running"]))


class LockedRun:
    """A run under its row lock, so that nobody else can drive it meanwhile."""

    def __init__(self, connection: Connection, run: Run, steps: Sequence[Step], *, is_new: bool = False) -> None:
        """``run`` and ``steps``: as they are since the transaction of ``connection`` locked or opened the run.

        ``is_new``: whether it has opened the run. Then it has the pipeline's lock, too.
        """
        self._connection = connection
        self._is_new = is_new
        self.run = run
        self.steps = list(steps)
        self._predictions: dict[str, StepPredictions | None] = {}

    def start(self) -> bool:
        """Makes a queued run running; False if running or older queued runs of the pipeline block it."""
        connection, run = self._connection, self.run
        if not self._is_new:
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"batchord:{run.pipeline}"])
        row = connection.execute(
            f"""
            UPDATE batchord.runs AS run SET state = 'running', started_at = batchord.now()
            WHERE id = %(id)s AND state = 'queued' AND max_active > (
                -- A run that would read the same records blocks this one, whatever max_active says.
                SELECT coalesce(sum(CASE WHEN run.disjoint AND {OVERLAP} THEN run.max_active ELSE 1 END), 0)
                FROM batchord.runs AS other WHERE {BLOCKING}
            )
            RETURNING {RUN_COLUMNS}
            """,
            {"id": run.id},
        ).fetchone()
        if row is not None:
            self.run = run_from(row)
        return row is not None

    def set_steps(self, names: Sequence[str], state: StepState) -> None:
        """Moves steps to ``state``."""
        self._changed(
            "UPDATE batchord.steps SET state = %s, sent_at = CASE WHEN %s = 'ready' THEN batchord.now() END, "
            "wait_seconds = 0, resent = 0, finished_at = CASE WHEN %s THEN batchord.now() END "
            f"WHERE run_id = %s AND name = ANY(%s) RETURNING {STEP_COLUMNS}",
            [state, state, state.over, self.run.id, list(names)],
        )

    def holds(self, lease: StepLease) -> bool:
        """Whether the step still has this lease."""
        row = self._connection.execute(
            "SELECT FROM batchord.steps WHERE run_id = %s AND name = %s AND lease_token = %s "
            "AND state IN ('planning', 'running') FOR NO KEY UPDATE",
            [self.run.id, lease.step, lease.token],
        ).fetchone()
        return row is not None

    def committed(self, step: str) -> dict[str, Any] | None:
        """The output that the step has committed together with its work; None if it has committed nothing."""
        query = "SELECT committed FROM batchord.steps WHERE run_id = %s AND name = %s"
        row = one(self._connection.execute(query, [self.run.id, step]).fetchone())
        output: dict[str, Any] | None = row["committed"]
        return output

    def totals(self, step: str) -> StepTotals:
        """The totals of the step's shards. Passes on LockNotAvailable if an author's table is locked."""
        totals, self._predictions[step] = step_totals(self._connection, self.run.id, step)
        return totals

    def aggregates(self, step: str, *, with_rows: bool) -> dict[str, Any]:
        """Counts of labels and reasons, quantiles of scores and the like. Call :meth:`totals` before.

        ``with_rows``: whether they are read from the written rows, too.
        """
        return step_aggregates(self._connection, self.run.id, step, self._predictions[step] if with_rows else None)

    def outputs(self) -> dict[str, dict[str, Any]]:
        """The summaries of the Predict steps that have ended, by name."""
        return {step.name: step.output for step in self.steps if step.sharded and step.output is not None}

    def end_step(self, step: str, state: StepState, output: dict[str, Any], error: str | None) -> None:
        """Ends a step with its summary and adds its totals to the run's."""
        values = {"run": self.run.id, "step": step, "state": state, "output": Jsonb(output)}
        changed = state is StepState.CODE_CHANGED
        self._changed(_END_STEP, {**values, "error": masked_text(error), "changed": changed})
        self._count()

    def learn(self, step: str) -> None:
        """Stores how fast the step's shards were, for the size of the next run's shards."""
        run, version = self.run, self.run.models.get(step)
        if version is not None:
            learn_rates(self._connection, run_id=run.id, pipeline=run.pipeline, step=step, version=version)

    def close_open(self, error: str) -> None:
        """Ends all open shards and steps as failed with ``error``. Their leases are void then.

        A step that has committed its work is done, although its attempt has died before it could say so: "failed" would
        be wrong, and a rerun of what failed would do the work again.
        """
        values = {"run": self.run.id, "error": error}
        self._connection.execute(
            "UPDATE batchord.steps SET state = 'done', output = committed, error = NULL, finished_at = batchord.now(), "
            "lease_token = NULL, lease_until = NULL "
            "WHERE run_id = %(run)s AND state IN ('ready', 'running') AND committed IS NOT NULL",
            values,
        )
        for table, states in _OPEN_STATES:
            self._connection.execute(
                f"UPDATE batchord.{table} SET state = 'failed', error = %(error)s, finished_at = batchord.now(), "
                f"lease_token = NULL, lease_until = NULL WHERE run_id = %(run)s AND state = ANY(%(states)s)",
                {**values, "states": states},
            )
        end_attempts(self._connection, self.run.id, step=None, state="cancelled", error=error)
        self._count()
        self._changed(f"SELECT {STEP_COLUMNS} FROM batchord.steps WHERE run_id = %(run)s", values)

    def keep(self, change: Change | None) -> None:
        """Keeps a change of the run by hand; does nothing for None."""
        keep_change(self._connection, change, run_id=self.run.id)

    def alert(self, alert: NewAlert) -> bool:
        """Keeps an alert; False if there already is one for its event."""
        return keep_alert(self._connection, alert)

    def alerts_kept(self, kind: str) -> int:
        """How many alerts of that kind this run has."""
        query = "SELECT FROM batchord.alerts WHERE run_id = %s AND kind = %s"
        return self._connection.execute(query, [self.run.id, kind]).rowcount

    def open_incident(self, kind: str, message: str) -> None:
        """Opens an incident of the pipeline. It stays open until the pipeline has recovered."""
        open_incident(self._connection, self.run.pipeline, kind, message)

    def close_incidents(self, kinds: Sequence[str]) -> list[tuple[str, datetime]]:
        """Closes incidents of these kinds. Returns those that were open, and when each began."""
        return close_incidents(self._connection, self.run.pipeline, kinds)

    def end(self, state: RunState, summary: dict[str, Any], error: str | None) -> str | None:
        """Ends the run; returns the id of the pipeline's next queued run, if there is one."""
        connection, run = self._connection, self.run
        ended = connection.execute(
            "UPDATE batchord.runs SET state = %s, summary = %s, error = %s, finished_at = batchord.now() "
            f"WHERE id = %s RETURNING {RUN_COLUMNS}, (SELECT next.id FROM batchord.runs AS next "
            f"WHERE next.pipeline = %s AND next.state = 'queued' ORDER BY {turn('next')} LIMIT 1) AS next_run",
            [state, Jsonb(summary), masked_text(error), run.id, run.pipeline],
        ).fetchone()
        row = one(ended)
        next_run = row.pop("next_run")
        self.run = run_from(row)
        return None if next_run is None else str(next_run)

    def _count(self) -> None:
        self.run = run_from(one(self._connection.execute(_COUNT, {"run": self.run.id}).fetchone()))

    def _changed(self, statement: LiteralString, values: Any) -> None:
        """Executes a statement that returns steps, and remembers these in place of what they were."""
        changed = {row["name"]: step_from(row) for row in self._connection.execute(statement, values)}
        self.steps = [changed.get(step.name, step) for step in self.steps]
