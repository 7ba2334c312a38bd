"""Ends a step when all its shards have ended: writes its summary and moves the run on.

The chord's body, the sweeper, or both call this, once or many times. It reads the ledger, never the chord's results,
and ends a step once.
"""

from batchord.core.declared.limits import RejectionLimit
from batchord.core.errors import CatalogError, ConservationError, UnknownPipeline
from batchord.core.reasons import of_the_model
from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.leases import StepLease
from batchord.core.run.messages import Message
from batchord.core.run.runs import Run, RunState, StepState
from batchord.core.run.summary import check_conservation, step_summary
from batchord.core.text.counts import counted
from batchord.flow.drive.advance import drive
from batchord.flow.drive.end_alerts import look
from batchord.flow.parts import Parts

#: The error of a step whose file was edited while it was at work.
CODE_CHANGED = "code-changed: its file was edited while it was at work; a follow-up run continues with the new code"


def finish_step(parts: Parts, *, run_id: str, step: str) -> list[Message]:
    """Ends the step if all its shards have ended, and drives the run on."""
    with parts.ledger.runs.lock(run_id) as locked:
        state = {other.name: other.state for other in locked.steps if other.sharded}.get(step)
        if state is not StepState.RUNNING or locked.run.state is not RunState.RUNNING:
            return drive(locked)
        totals = locked.totals(step)
        if totals.open_shards:
            # A smaller chord, which sent some shards again, has ended. The last shard's end calls this again.
            return []
        aggregates = locked.aggregates(step, with_rows=totals.unreadable is None)
        error = None
        try:
            pending = check_conservation(run_id, step, totals)
        except ConservationError as violation:
            pending, error = totals.discovered - totals.predicted - totals.rejected, str(violation)
        changed = error is None and not totals.failed_shards and totals.changed_shards
        if totals.failed_shards and error is None:
            error = (
                f"{totals.failed_shards} of {counted(totals.shards, 'shard')} failed: {aggregates['shard_errors'][0]}"
            )
        if error is None and not changed:
            error = totals.unreadable
        if error is None and not totals.predicted:
            error = _gave_nothing(locked.run.pipeline, of_the_model(aggregates["rejections"]))
        limit = _rejection_limit(parts, locked.run.pipeline, step)
        if error is None and limit.breached(discovered=totals.discovered, rejected=totals.rejected):
            error = (
                f"{totals.rejected:,} of {counted(totals.discovered, 'record')} were rejected, more than the limit of "
                f"{limit.share:.0%} and {limit.count:,}. All predictions stay. Read `batchord rejections`, fix the "
                f"cause, then run `batchord retry {locked.run.pipeline}`."
            )
            locked.alert(_over_the_limit(locked.run, step, error))
        state = StepState.FAILED if error else StepState.DONE
        if error is None and changed:
            state, error = StepState.CODE_CHANGED, CODE_CHANGED
        summary = step_summary(totals, aggregates, pending=pending, model=locked.run.models.get(step, ""))
        locked.end_step(step, state, summary, error)
        locked.learn(step)
        return drive(locked)


def _gave_nothing(pipeline: str, rejections: dict[str, int]) -> str | None:
    """The error of a step that predicted nothing; None if no record was rejected because of the model.

    One record is enough: without any prediction, nobody can tell a bad record from a broken model.
    """
    if not rejections:
        return None
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in rejections.items())
    return (
        f"The model returned no usable prediction for any of its records: {reasons}. Read `batchord rejections`, fix "
        f"the model or its input, then run `batchord retry {pipeline}`."
    )


def _rejection_limit(parts: Parts, pipeline: str, step: str) -> RejectionLimit:
    """The declared limit, or the default if the pipeline's file was removed after the run began."""
    try:
        return parts.catalog.get(pipeline).predict_step(step).rejection_limit
    except (CatalogError, UnknownPipeline):
        return RejectionLimit()


def _over_the_limit(run: Run, step: str, error: str) -> NewAlert:
    return NewAlert(
        event=f"{AlertKind.REJECTION_LIMIT}:{run.id}:{step}",
        kind=AlertKind.REJECTION_LIMIT,
        pipeline=run.pipeline,
        run_id=run.id,
        title=f"{run.pipeline}: too many rejections",
        message=f"Step {step} of run {run.id} of {run.pipeline}: {error}\n{look(run.id)}",
    )


#: The most characters of an error in the ledger. The attempt's log has the full error.
MOST_ERROR = 4000


def fail_step(parts: Parts, lease: StepLease, error: str, *, state: StepState = StepState.FAILED) -> list[Message]:
    """Ends a step that cannot be planned, unless another planner has taken it over, and drives the run on."""
    with parts.ledger.runs.lock(lease.run_id) as locked:
        if locked.holds(lease):
            locked.end_step(lease.step, state, {}, parts.mask(error)[:MOST_ERROR])
        return drive(locked)
