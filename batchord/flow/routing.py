"""Which task, on which queue, does what a message asks for."""

from typing import Any, NamedTuple

from batchord.core.declared.steps import STEPS_QUEUE
from batchord.core.run.messages import StepReady
from batchord.core.run.runs import StepKind

#: Steps that end by themselves when their time is over; only if they cannot, their process is ended.
_BOUND_THEMSELVES = (StepKind.BASH, StepKind.SQL)
_GRACE_SECONDS = 30.0


class Route(NamedTuple):
    """A task by its name, and how it is to be sent."""

    task: str
    kwargs: dict[str, Any]
    queue: str
    #: Seconds after which its process is ended; None: never.
    time_limit: float | None
    #: Seconds to wait before; None: none.
    countdown: float | None


def route_step(message: StepReady) -> Route:
    """A Predict step is planned by control workers, every other is executed where it says."""
    values = {"run_id": message.run_id, "step": message.step}
    wait = message.delay or None
    if message.kind is StepKind.PREDICT:
        return Route("batchord.plan_step", values, "control", None, wait)
    limit = message.time_limit
    if limit is not None and message.kind in _BOUND_THEMSELVES:
        limit += _GRACE_SECONDS
    return Route("batchord.run_step", values, message.queue or STEPS_QUEUE, limit, wait)
