"""Turns rows of the ledger into objects of the core."""

from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.run.runs import Run, RunState, Step, StepState
from batchord.ledger.connection import Connection

RUN_COLUMNS = (
    "id, pipeline, kind, trigger, slot, window_start, window_end, state, params, full_scan, rerun_of::text, models, "
    "discovered, predicted, rejected, summary, error, created_at, started_at, finished_at"
)


STEP_COLUMNS = "run_id, name, kind, after, join_rule, state, attempt, error, queue, time_limit, backlog_left, output"


def turn(run: str) -> str:
    """SQL that orders a pipeline's queued runs: oldest first, but backfills after all others."""
    return f"(({run}.kind = 'backfill'), {run}.created_at, {run}.id)"


#: Whether the windows of ``run`` and ``other`` overlap. A window does not include its end, where another one may begin.
#: A run without a window reads everything.
OVERLAP = "coalesce((run.window_start, run.window_end) OVERLAPS (other.window_start, other.window_end), true)"
#: Whether ``other`` counts against the start of the queued ``run``.
BLOCKING = f"""
    other.pipeline = run.pipeline AND other.id <> run.id
    AND (other.state = 'running' OR (other.state = 'queued' AND {turn("other")} < {turn("run")}))
"""


def run_from(row: dict[str, Any]) -> Run:
    """A row of :data:`RUN_COLUMNS` as a run."""
    return Run(**{**row, "id": str(row["id"]), "state": RunState(row["state"])})


def step_from(row: dict[str, Any]) -> Step:
    """A row of :data:`STEP_COLUMNS` as a step."""
    return Step(
        run_id=str(row["run_id"]),
        name=row["name"],
        after=tuple(row["after"]),
        state=StepState(row["state"]),
        attempt=row["attempt"],
        error=row["error"],
        kind=row["kind"],
        join=row["join_rule"],
        queue=row["queue"],
        time_limit=row["time_limit"],
        backlog_left=row["backlog_left"],
        output=row["output"],
    )


def read_steps(connection: Connection, run_id: str) -> list[Step]:
    """The run's steps in the order in which the pipeline declares them."""
    rows = connection.execute(f"SELECT {STEP_COLUMNS} FROM batchord.steps WHERE run_id = %s ORDER BY ordinal", [run_id])
    return [step_from(row) for row in rows]


def find_run(connection: Connection, run_id: str, *, lock: bool = False) -> Run:
    """The run; with ``lock``, under its row lock. Raises ConfigurationError if no run has that id."""
    query = f"SELECT {RUN_COLUMNS} FROM batchord.runs WHERE id = %s"
    row = connection.execute(query + (" FOR UPDATE" if lock else ""), [run_id]).fetchone()
    if row is None:
        raise ConfigurationError(f"There is no run {run_id}. `batchord runs` lists the runs.")
    return run_from(row)


def one(row: dict[str, Any] | None) -> dict[str, Any]:
    """The row of a statement that always returns one. Raises ConfigurationError if it is missing."""
    if row is None:
        raise ConfigurationError(
            "The ledger returned no row where one must exist. Run `batchord migrate` to bring its schema up to date."
        )
    return row
