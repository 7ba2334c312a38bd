"""How a task ends when what it worked at has failed: as FAILURE, and its chord goes on.

The ledger says whether it has failed, not the task: so a second delivery ends as the first did. Celery has no way
for a chord's part to fail and to count: ``Ignore`` leaves its task as started for ever, and an error or ``Reject``
counts the part as failed, whereupon the body never comes.
"""

import logging
from typing import NoReturn

from celery import Task, states
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from batchord.core.errors import WorkFailed
from batchord.core.process.faults import fault
from batchord.core.run.runs import RunState, StepState
from batchord.wiring import parts

log = logging.getLogger(__name__)

#: The error stands in the ledger in full.
_MOST_SAID = 500


def fail_with_shard(task: Task, run_id: str, step: str, index: int) -> None:
    """Ends the task as failed if the shard has; its part counts for the chord as that of any other shard."""
    error = parts().ledger.shards.failure(run_id, step, index)
    if error is not None:
        _count_part(task, index)
        _fail(f"Shard {index} of step {step} in run {run_id} failed: {error}")


def fail_with_step(run_id: str, step: str) -> None:
    """Ends the task as failed if the step has. Called after all that followed was sent."""
    for known in parts().ledger.runs.steps(run_id):
        if known.name == step and known.state is StepState.FAILED:
            _fail(f"Step {step} of run {run_id} failed: {known.error}")


def fail_with_run(run_id: str) -> None:
    """Ends the task as failed if the run has."""
    run = parts().ledger.runs.get(run_id)
    if run.state in (RunState.FAILED, RunState.PARTIAL):
        _fail(f"Run {run_id} of {run.pipeline} ended as {run.state}: {run.error}")


def _count_part(task: Task, result: int) -> None:
    """What Celery does when a part succeeds; done before, it is not done again for the error."""
    request = task.request
    if not request.chord:
        return
    try:
        task.backend.on_chord_part_return(request, states.SUCCESS, result)
    except (OperationalError, RedisError) as error:
        log.warning(
            "A part of the chord could not be counted. The sweeper will finish the step: %s",
            " ".join(str(error).split()),
        )
    request.chord = None


def _fail(said: str) -> NoReturn:
    fault("before-failure")
    raise WorkFailed(said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]} …")
