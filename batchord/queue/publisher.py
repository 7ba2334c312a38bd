"""The only place that says which Celery message carries what, on which queue; it publishes for workers and commands.

A message that is lost here is no harm: the sweeper sends it again. So a broker that is away fails nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from celery import chord, current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from batchord.core.declared.steps import STEPS_QUEUE
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.process.faults import fault
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

#: The queue of all tasks that only the ledger keeps waiting.
CONTROL = "control"
#: What sending raises while Redis is away: Kombu's error for a message, redis-py's for a chord's size, and a
#: RuntimeError where Celery wants to follow the results of the chord's parts, which nobody asked for.
UNSENT = (OperationalError, RedisError, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A task by its name, and how it is sent."""

    task: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    queue: str = CONTROL
    #: Seconds after which its process is ended; None: as the task says.
    time_limit: float | None = None
    #: Seconds to wait before; None: none.
    countdown: float | None = None
    #: The task's id; None: a new one.
    task_id: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """What the task is called with: every message says of which version it is."""
        return {**self.kwargs, "version": messages.VERSION}

    def send(self) -> None:
        """Publishes it. Raises one of :data:`UNSENT`, after the attempts of ``task_publish_retry_policy``."""
        current_app.send_task(
            self.task,
            kwargs=self.arguments,
            queue=self.queue,
            time_limit=self.time_limit,
            countdown=self.countdown,
            task_id=self.task_id,
            ignore_result=True,
        )


def publish(sent: Sequence[Message], *, catalog: Catalog) -> list[Message]:
    """Publishes what a verb returned, after its commit; returns what could not be sent, for the sweeper to send again.

    ``catalog`` says which pipelines follow a run that has ended.
    """
    unsent = []
    for message in sent:
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
        case ShardsReady():
            _publish_chord(message)
        case RunEnded():
            for follower in followers(catalog, message):
                envelope(follower).send()
        case StepReady(delay=delay) if delay > LONGEST_DELAY:
            pass  # the sweeper sends it when its time has come
        case _:
            envelope(message).send()


def _publish_chord(message: ShardsReady) -> None:
    def signature(each: ShardReady | StepEnded, queue: str) -> Any:
        part = envelope(each)
        return current_app.signature(part.task, kwargs=part.arguments, immutable=True, queue=queue, ignore_result=True)

    run_id, step = message.run_id, message.step
    header = [signature(ShardReady(run_id=run_id, step=step, index=index), message.queue) for index in message.indexes]
    chord(header, app=current_app)(signature(StepEnded(run_id=run_id, step=step), CONTROL))


def envelope(message: Message) -> Envelope:  # noqa: PLR0911 -- a case each
    """The task that does what a single message asks for."""
    match message:
        case StepReady():
            return _of_step(message)
        case ShardReady(run_id=run_id, step=step, index=index):
            return Envelope(task="batchord.predict_shard", kwargs={"run_id": run_id, "step": step, "index": index})
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


def _of_step(message: StepReady) -> Envelope:
    """A Predict step is planned by control workers, every other is executed where it says."""
    values = {"run_id": message.run_id, "step": message.step}
    wait = message.delay or None
    if message.sharded:
        return Envelope(task="batchord.plan_step", kwargs=values, countdown=wait)
    queue = message.queue or STEPS_QUEUE
    return Envelope(task="batchord.run_step", kwargs=values, queue=queue, time_limit=message.time_limit, countdown=wait)
