"""Runs and steps: a run is opened once, moves on under a row lock, and ends once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from batchord.core.reasons import LossCause
from batchord.core.run.leases import StepLease
from batchord.core.run.runs import NewRun, NewStep, Run, RunState, Step
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.history import keep_change
from batchord.ledger.leases import begin_step, claim_step, lose_step, release_step, renew_step
from batchord.ledger.locked_run import LockedRun
from batchord.ledger.rows import RUN_COLUMNS, STEP_COLUMNS, find_run, one, read_steps, run_from, step_from


class Opened(NamedTuple):
    """The outcome of opening a run."""

    run: Run
    #: False if the run existed already, for example because a tick was sent twice.
    created: bool


_INSERT_RUN = f"""
    WITH active AS (
        -- No tick is skipped because of a backfill: a backfill gives way after each window.
        SELECT count(*) FILTER (WHERE kind <> 'backfill') AS runs,
               count(*) FILTER (WHERE state = 'queued' AND kind NOT IN ('backfill', 'rerun')) AS queued
        FROM batchord.runs WHERE pipeline = %(pipeline)s AND state IN ('queued', 'running')
    ), verdict AS (
        SELECT CASE
            WHEN %(skip_reason)s::text IS NOT NULL THEN %(skip_reason)s::text
            WHEN %(overlap)s = 'skip' AND runs >= %(max_active)s THEN 'an earlier run was active'
            WHEN %(overlap)s = 'coalesce' AND queued > 0 THEN 'a queued run will read the same records'
        END AS skipped, batchord.now() AS now FROM active
    )
    INSERT INTO batchord.runs (id, pipeline, kind, trigger, slot, window_start, window_end, state, params, request,
                               full_scan, max_active, disjoint, rerun_of, error, created_at, finished_at)
    SELECT %(id)s, %(pipeline)s, %(kind)s, %(trigger)s, %(slot)s, %(window_start)s, %(window_end)s,
           CASE WHEN skipped IS NULL THEN 'queued' ELSE 'skipped' END,
           %(params)s, %(request)s, %(full_scan)s, %(max_active)s, %(disjoint)s, %(rerun_of)s, skipped,
           now, CASE WHEN skipped IS NULL THEN NULL ELSE now END
    FROM verdict
    ON CONFLICT DO NOTHING
    RETURNING {RUN_COLUMNS}
"""
_FIND_RUN = f"""
    SELECT {RUN_COLUMNS} FROM batchord.runs
    WHERE request = %(request)s OR (pipeline = %(pipeline)s AND kind = %(kind)s AND slot = %(slot)s)
"""
#: One statement for all steps; not executemany(): see planner.py.
_INSERT_STEPS = f"""
    INSERT INTO batchord.steps
        (run_id, name, ordinal, kind, after, join_rule, queue, time_limit, state, output, error, reused, finished_at)
    SELECT CAST(%(run)s AS uuid), name, ordinal, kind, after, join_rule, queue, time_limit, state, output, error,
           reused, CASE WHEN reused THEN batchord.now() END
    FROM jsonb_to_recordset(%(steps)s) AS step (name text, ordinal int, kind text, after text[], join_rule text,
        queue text, time_limit float8, state text, output jsonb, error text, reused bool)
    RETURNING {STEP_COLUMNS}
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
      -- A run that is still running counts its rejections at its end.
      AND NOT EXISTS (SELECT FROM batchord.runs AS run WHERE run.id = run_id AND run.state = 'running')
"""


class RunsTable:
    """Runs and steps."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def now(self) -> datetime:
        """The time by the database's clock, the only clock that leases and frontiers use."""
        with self._connections.transaction() as connection:
            moment: datetime = one(connection.execute("SELECT batchord.now() AS now").fetchone())["now"]
            return moment

    def open(self, new: NewRun) -> Opened:
        """Opens a run, or returns the existing run of the same pipeline, kind and slot, or of the same request."""
        with self._connections.transaction() as connection:
            return _open(connection, new)[0]

    def open_retry(self, new: NewRun, *, reason: str | None, keys: Sequence[str] | None) -> tuple[Run | None, int]:
        """Deletes rejections of the pipeline and opens the run ``new`` for their records, in one transaction.

        ``reason`` and ``keys`` select the rejections. Returns the run and how many rejections were deleted; None and 0
        if there were none.
        """
        values = {"pipeline": new.pipeline, "reason": reason, "keys": None if keys is None else list(keys)}
        with self._connections.transaction() as connection:
            count = connection.execute(_TAKE_BACK, values).rowcount
            if not count:
                return None, 0
            # If this run is cancelled or fails, the next one must look below the frontier, too.
            connection.execute("DELETE FROM batchord.frontiers WHERE pipeline = %(pipeline)s", values)
            return _open(connection, new, rejections=count)[0].run, count

    def get(self, run_id: str) -> Run:
        """The run. Raises ConfigurationError if no run has that id."""
        with self._connections.transaction() as connection:
            return find_run(connection, run_id)

    def last_rate(self, pipeline: str, step: str) -> float | None:
        """The step's records per second in the newest ended run that predicted records; None without such a run."""
        with self._connections.transaction() as connection:
            row = connection.execute(_LAST_RATE, {"pipeline": pipeline, "step": step}).fetchone()
            return None if row is None else row["rate"]

    @contextmanager
    def lock(self, run_id: str) -> Iterator[LockedRun]:
        """The run under its row lock. Commits when the block ends, rolls back if it raises."""
        with self._connections.transaction() as connection:
            run = find_run(connection, run_id, lock=True)
            yield LockedRun(connection, run, read_steps(connection, run.id))

    @contextmanager
    def opened(self, new: NewRun) -> Iterator[LockedRun]:
        """The same for a run that is opened first, in the same transaction; or for the run that :meth:`open` finds."""
        with self._connections.transaction() as connection:
            opened, steps = _open(connection, new)
            if opened.created:
                yield LockedRun(connection, opened.run, steps, is_new=True)
        # Not in the transaction that has tried to open it: whoever drives a run locks its row before its pipeline.
        if not opened.created:
            with self.lock(opened.run.id) as locked:
                yield locked

    def steps(self, run_id: str) -> list[Step]:
        """The run's steps in the order in which the pipeline declares them."""
        with self._connections.transaction() as connection:
            return read_steps(connection, run_id)

    def claim_step(
        self,
        run_id: str,
        step: str,
        *,
        lease_seconds: float,
        worker: str,
        task: str | None = None,
        sharded: bool | None = None,
    ) -> StepLease | None:
        """A lease to plan or to execute a step; None if the step is done or another worker has the lease.

        ``task``: the id of the Celery task, kept with the attempt. ``sharded``: True: only if it becomes shards;
        False: only if it does not.
        """
        with self._connections.transaction() as connection:
            return claim_step(
                connection, run_id, step, lease_seconds=lease_seconds, worker=worker, task=task, sharded=sharded
            )

    def begin_step(self, lease: StepLease) -> bool:
        """Notes that from now on the attempt may have had effects; False if the lease is lost."""
        with self._connections.transaction() as connection:
            return begin_step(connection, lease)

    def renew_step(self, lease: StepLease, *, lease_seconds: float) -> bool:
        """Extends the lease; False if it is lost."""
        with self._connections.transaction() as connection:
            return renew_step(connection, lease, lease_seconds)

    def release_step(self, lease: StepLease, error: str, *, wait: float = 0, own_error: bool = False) -> bool:
        """Gives the step back for another attempt, due after ``wait`` seconds; False if the lease is lost.

        ``own_error``: whether the step itself failed, and not a server or the network that it needs.
        """
        with self._connections.transaction() as connection:
            return release_step(connection, lease, error, wait=wait, own_error=own_error)

    def lose_step(
        self, run_id: str, step: str, *, worker: str, cause: LossCause, error: str, loss: bool = True
    ) -> bool:
        """Notes that ``worker`` died while it executed the step, and ends its lease at once; False if it had no lease.

        ``loss``: False if the worker was told to stop. Then the attempt counts as lost only if it may have had effects.
        """
        with self._connections.transaction() as connection:
            return lose_step(connection, run_id, step, worker=worker, cause=cause, error=error, loss=loss)


def _open(connection: Connection, new: NewRun, **more: Any) -> tuple[Opened, list[Step]]:
    """Opens a run. Returns also the steps of one that is new and not skipped.

    ``more``: further details for the history, if a person opens the run.
    """
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
        "overlap": new.overlap,
        "skip_reason": new.skip_reason,
        "full_scan": new.full_scan,
        "max_active": new.max_active,
        "disjoint": new.disjoint,
        "rerun_of": new.rerun_of,
    }
    # Of two requests at the same time, the second must see the first one's run. Otherwise both would see no active run.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"batchord:{new.pipeline}"])
    row = connection.execute(_INSERT_RUN, values).fetchone()
    if row is None:
        return Opened(run_from(one(connection.execute(_FIND_RUN, values).fetchone())), created=False), []
    run = run_from(row)
    steps: list[Step] = []
    if run.state is not RunState.SKIPPED and new.steps:
        rows = [_step_values(place, step) for place, step in enumerate(new.steps)]
        written = connection.execute(_INSERT_STEPS, {"run": run.id, "steps": Jsonb(rows)})
        by_name = {row["name"]: step_from(row) for row in written}
        steps = [by_name[step.name] for step in new.steps]
    keep_change(connection, new.change, run_id=run.id, **more)
    return Opened(run, created=True), steps


def _step_values(ordinal: int, step: NewStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "ordinal": ordinal,
        "kind": step.kind,
        "after": list(step.after),
        "join_rule": step.join,
        "queue": step.queue,
        "time_limit": step.time_limit,
        "state": step.state.value,
        "reused": step.state.over,
        "output": step.output,
        "error": step.error,
    }
