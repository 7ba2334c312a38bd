"""Ends a task as FAILURE if its shard, step or run has failed, while its chord continues.

The ledger, not the task, says whether it has failed. So a second delivery ends like the first. In Celery, a part of a
chord cannot fail and still count. With ``Ignore``, its task stays started for ever. With an error or ``Reject``, the
part counts as failed, and then the body never runs.
"""

import logging
from typing import NoReturn

from celery import Task, states
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from batchord.core.errors import WorkFailed
from batchord.core.process.fault_points import fault
from batchord.core.run.runs import RunState, StepState
from batchord.wiring import parts

log = logging.getLogger(__name__)

#: The most characters of an error's message. The ledger holds the whole error.
_MOST_CHARACTERS = 500


def fail_with_shard(task: Task, run_id: str, step: str, index: int) -> None:
    """Ends the task as failed if the shard has failed. The chord counts its part like that of any other shard."""
    error = parts().ledger.shards.failure(run_id, step, index)
    if error is not None:
        _count_part(task, index)
        _fail(f"Shard {index} of step {step} in run {run_id} failed: {error}")


def fail_with_step(run_id: str, step: str) -> None:
    """Ends the task as failed if the step has failed. Call it after all messages that follow were sent."""
    for row in parts().ledger.runs.steps(run_id):
        if row.name == step and row.state is StepState.FAILED:
            _fail(f"Step {step} of run {run_id} failed: {row.error}")


def fail_with_run(run_id: str) -> None:
    """Ends the task as failed if the run has failed."""
    run = parts().ledger.runs.get(run_id)
    if run.state in (RunState.FAILED, RunState.PARTIAL):
        _fail(f"Run {run_id} of {run.pipeline} ended as {run.state}: {run.error}")


def _count_part(task: Task, result: int) -> None:
    """Counts the part as successful, as Celery does. Because it is counted here, the error is not counted later."""
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


def _fail(message: str) -> NoReturn:
    fault("before-failure")
    raise WorkFailed(message if len(message) <= _MOST_CHARACTERS else f"{message[:_MOST_CHARACTERS]} …")
