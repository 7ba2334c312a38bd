"""Rows of the ledger as the nouns of the core."""

from typing import Any

from app.core.runs import Run, RunState, Step, StepState

RUN_COLUMNS = (
    "id, pipeline, kind, trigger, slot, window_start, window_end, state, params, models, "
    "discovered, predicted, rejected, summary, error, created_at, started_at, finished_at"
)


def run_from(row: dict[str, Any]) -> Run:
    """A row of :data:`RUN_COLUMNS` as a run."""
    return Run(**{**row, "id": str(row["id"]), "state": RunState(row["state"])})


def step_from(row: dict[str, Any]) -> Step:
    """A row of ``steps`` as a step."""
    return Step(
        run_id=str(row["run_id"]),
        name=row["name"],
        after=tuple(row["after"]),
        state=StepState(row["state"]),
        attempt=row["attempt"],
        error=row["error"],
        queue=row["queue"],
        backlog_left=row["backlog_left"],
    )
