"""Ends a run for a person, before its start or in the middle of a shard. Its predictions stay."""

from batchord.core.run.history import Actor
from batchord.core.run.messages import Message, RunReady
from batchord.core.run.runs import RunState
from batchord.core.run.summary import run_summary
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change


def cancel_run(parts: Parts, *, run_id: str, who: str = "by hand", actor: Actor | None = None) -> list[Message]:
    """Cancels a run that has not ended. The ledger refuses the next write of its workers.

    The pipeline's next run takes the records that are left. ``actor``: the person for the history. Raises
    ConfigurationError if there is no such run.
    """
    with parts.ledger.runs.lock(run_id) as locked:
        if locked.run.state.ended:
            return []
        locked.close_open(f"cancelled {who}")
        summary = run_summary(locked.run, locked.outputs())
        next_run = locked.end(RunState.CANCELLED, summary, f"cancelled {who}")
        locked.keep(change(parts, actor, "cancel", pipeline=locked.run.pipeline))
    return [] if next_run is None else [RunReady(run_id=next_run)]
