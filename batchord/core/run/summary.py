"""The summary of a run, and the check that no record was lost."""

from typing import Any

from batchord.core.errors import ConservationError
from batchord.core.run.runs import Run
from batchord.core.run.totals import StepTotals
from batchord.core.text.counts import counted

#: Below these limits, a rate shows how long a shard takes to begin and to end, not how fast its model is.
_LEAST_SECONDS, _LEAST_RECORDS = 1.0, 100
#: After this many seconds, the rate is shown even for a few records.
_LONG_SECONDS = 60.0
#: Quantiles of the scores in a summary, by name.
QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}


def check_conservation(run_id: str, step: str, totals: StepTotals) -> int:
    """Checks that discovered = predicted + rejected + pending, and returns pending.

    Predicted and rejected are counted in two ways: by the shards' progress, and row by row in the tables. From a table
    of the author's, rows may have been deleted since.

    Raises ConservationError if the two counts differ, or if more records are accounted for than were discovered.
    """
    pending = totals.discovered - totals.predicted - totals.rejected
    written = (totals.predictions_written, totals.rejections_written)
    if totals.rows_may_go and written[0] < totals.predicted:
        written = (totals.predicted, written[1])
    if pending < 0 or written != (totals.predicted, totals.rejected):
        raise ConservationError(
            f"Step {step} of run {run_id} does not add up: discovered {totals.discovered}, shards report "
            f"{totals.predicted} predicted and {totals.rejected} rejected, but the tables hold {written[0]} and "
            f"{written[1]}. Nothing was deleted. `batchord audit` shows which records are affected."
        )
    if not totals.failed_shards and not totals.changed_shards and pending:
        raise ConservationError(
            f"Step {step} of run {run_id} has {counted(pending, 'pending record')} although no shard failed. "
            "`batchord audit` shows which records are affected."
        )
    return pending


def step_summary(totals: StepTotals, aggregates: dict[str, Any], *, pending: int, model: str) -> dict[str, Any]:
    """The summary of a step, as JSON values. Seconds are sums over workers; ``elapsed`` is wall time."""
    return {
        "discovered": totals.discovered,
        "predicted": totals.predicted,
        "rejected": totals.rejected,
        "pending": pending,
        # Records that entered or left the ranges of the shards after these were planned.
        "changed_since_planned": totals.discovered - totals.planned,
        "shards": totals.shards,
        "failed_shards": totals.failed_shards,
        "code_changed_shards": totals.changed_shards,
        "model": model,
        **aggregates,
        "records_per_second": rate(totals.predicted + totals.rejected, aggregates["elapsed"]),
    }


def rate(records: int, elapsed: float | None) -> float | None:
    """Records per second; None if too little was measured."""
    if not records or elapsed is None or elapsed < _LEAST_SECONDS:
        return None
    if records < _LEAST_RECORDS and elapsed < _LONG_SECONDS:
        return None
    return round(records / elapsed, 1)


def run_summary(run: Run, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The summary of a run, made of the summaries of its steps."""
    return {
        "discovered": run.discovered,
        "predicted": run.predicted,
        "rejected": run.rejected,
        "pending": run.discovered - run.predicted - run.rejected,
        "steps": steps,
    }
