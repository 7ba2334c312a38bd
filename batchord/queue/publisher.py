"""Publishes messages for workers and commands. Only this module knows which Celery message carries what.

A shard goes to its model's queue and a step to its own, as the messages say; all else goes to the control queue.

If a message is lost here, the sweeper sends it again. So nothing fails while the broker does not answer.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from celery import chord, current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from batchord.core.declared.steps import STEPS_QUEUE
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.process.fault_points import fault
from batchord.core.run import messages
from batchord.core.run.messages import (
    LONGEST_DELAY,
    AlertsKept,
    BacklogLeft,
    FollowUp,
    Message,
    RunEnded,
    RunReady,
    ShardReady,
    ShardsReady,
    StepEnded,
    StepReady,
)
from batchord.flow.begin.follow import followers
from batchord.flow.begin.start import BACKLOG
from batchord.flow.parts import Catalog

log = logging.getLogger(__name__)

#: The queue of all tasks that wait for nothing but the ledger.
CONTROL = "control"
#: The errors of sending while Redis does not answer: Kombu's for a message, redis-py's for a chord's size, and a
#: RuntimeError when Celery tries to follow the results of the chord's parts, which nobody uses.
UNSENT = (OperationalError, RedisError, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A Celery message: the name of a task, its arguments, and how it is sent."""

    task: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    queue: str = CONTROL
    #: Seconds after which its process is killed; None: the task's own limit.
    time_limit: float | None = None
    #: Seconds to wait before the task runs; None: no wait.
    countdown: float | None = None
    #: The task's id; None: a new one.
    task_id: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the task. Every message carries its version."""
        return {**self.kwargs, "version": messages.VERSION}

    def send(self) -> None:
        """Publishes the message. Raises one of :data:`UNSENT` after the attempts of ``task_publish_retry_policy``."""
        current_app.send_task(
            self.task,
            kwargs=self.arguments,
            queue=self.queue,
            time_limit=self.time_limit,
            countdown=self.countdown,
            task_id=self.task_id,
            ignore_result=True,
        )


def publish(waiting: Sequence[Message], *, catalog: Catalog) -> list[Message]:
    """Publishes the messages that a verb returned. Call it after the verb's commit.

    ``catalog`` says which pipelines follow a run that has ended. Returns the messages that could not be sent; the
    sweeper sends them again.
    """
    unsent = []
    for message in waiting:
        fault("after-commit-before-publish")
        try:
            _publish(message, catalog)
        except UNSENT as error:
            if is_exhaustion(error):
                note_exhaustion(error)
            log.warning("The sweeper will send %s again: %s", message, " ".join(str(error).split()))
            unsent.append(message)
    return unsent


def _publish(message: Message, catalog: Catalog) -> None:
    match message:
        case ShardsReady(run_id=run_id, step=step, queue=queue, indexes=(index,)):
            lone = ShardReady(run_id=run_id, step=step, index=index, alone=True)
            replace(envelope(lone), queue=queue).send()
        case ShardsReady():
            _publish_chord(message)
        case RunEnded():
            for follower in followers(catalog, message):
                envelope(follower).send()
        case StepReady(delay=delay) if delay > LONGEST_DELAY:
            pass  # the sweeper sends it when it is due
        case _:
            envelope(message).send()


def _publish_chord(message: ShardsReady) -> None:
    def signature(part: ShardReady | StepEnded, queue: str) -> Any:
        sent = envelope(part)
        return current_app.signature(sent.task, kwargs=sent.arguments, immutable=True, queue=queue, ignore_result=True)

    run_id, step = message.run_id, message.step
    header = [signature(ShardReady(run_id=run_id, step=step, index=index), message.queue) for index in message.indexes]
    chord(header, app=current_app)(signature(StepEnded(run_id=run_id, step=step), CONTROL))


def envelope(message: Message) -> Envelope:  # noqa: PLR0911 -- a case each
    """The Celery message for a single message of the flow."""
    match message:
        case StepReady():
            return _step_envelope(message)
        case ShardReady(run_id=run_id, step=step, index=index, alone=alone):
            kwargs = {"run_id": run_id, "step": step, "index": index, **({"alone": True} if alone else {})}
            return Envelope(task="batchord.predict_shard", kwargs=kwargs)
        case StepEnded(run_id=run_id, step=step):
            return Envelope(task="batchord.finish_step", kwargs={"run_id": run_id, "step": step})
        case RunReady(run_id=run_id):
            return Envelope(task="batchord.advance_run", kwargs={"run_id": run_id})
        case BacklogLeft(pipeline=pipeline, after_run=after_run):
            values = {"pipeline": pipeline, "trigger": BACKLOG, "after_run": after_run}
            return Envelope(task="batchord.start_run", kwargs=values)
        case FollowUp(pipeline=pipeline, after_run=after_run):
            return Envelope(task="batchord.follow_run", kwargs={"pipeline": pipeline, "after_run": after_run})
        case AlertsKept():
            return Envelope(task="batchord.send_alerts")
        case ShardsReady() | RunEnded():
            raise TypeError(f"{message} stands for several messages. Use publish() to send them.")
    assert_never(message)


def _step_envelope(message: StepReady) -> Envelope:
    """Control workers plan a Predict step. The workers of a step's own queue execute any other step."""
    values = {"run_id": message.run_id, "step": message.step}
    wait = message.delay or None
    if message.sharded:
        return Envelope(task="batchord.plan_step", kwargs=values, countdown=wait)
    queue = message.queue or STEPS_QUEUE
    return Envelope(task="batchord.run_step", kwargs=values, queue=queue, time_limit=message.time_limit, countdown=wait)
