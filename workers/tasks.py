"""The spine: every task of Batchord, and how one leads to the next.

    beat ─ start_run ─ plan_step ─┬─ predict_shard ─┬─ finish_step ─ (next step, next run)
                    │             ├─ predict_shard ─┤
                    │             └─ predict_shard ─┘    the chord
                    └─ run_step ─ (next step, next run)

A task reads its arguments, calls one verb, and publishes what the verb returns: commit, then publish. Each
takes keywords only and ignores those that it does not know, so that an old worker understands a new message.
A task whose shard, step or run has failed ends as failed itself, after all that follows from it was sent.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery import Task, chord, current_app, shared_task
from celery.exceptions import Ignore
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from batchord.core.errors import TransientError, UnknownPipeline, WorkFailed
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.process.faults import fault
from batchord.core.run.history import Actor
from batchord.core.run.messages import (
    LONGEST_DELAY,
    AlertsKept,
    BacklogLeft,
    FollowUp,
    Message,
    RunEnded,
    RunReady,
    ShardsReady,
    StepEnded,
    StepReady,
)
from batchord.flow.begin import follow, start
from batchord.flow.drive import advance, cancel, finish
from batchord.flow.predict import plan
from batchord.flow.predict import shard as predict
from batchord.flow.routing import route_step
from batchord.flow.step import execute
from batchord.flow.upkeep import audit, prune, recover, switch, tell, watch
from batchord.settings import settings
from batchord.wiring import parts

from .failures import fail_with_run, fail_with_shard, fail_with_step
from .handing_back import MOST_HAND_BACKS, next_wait, understand
from .replacing import is_new
from .slots import reading_slot

log = logging.getLogger(__name__)

#: What the messages of this release say of themselves. It rises only when the release before would misread them:
#: a new keyword does not ask for it, since tasks ignore those that they do not know.
VERSION = 1
#: What sending raises while Redis is away: Kombu's error for a message, redis-py's for a chord's size, and a
#: RuntimeError where Celery wants to follow the results of the chord's parts, which nobody asked for.
_UNSENT = (OperationalError, RedisError, RuntimeError)


@shared_task(bind=True, name="batchord.start_run")  # type: ignore[untyped-decorator]
def start_run(
    self: Task,
    *,
    pipeline: str,
    trigger: str = "call",
    params: dict[str, Any] | None = None,
    after_run: str | None = None,
    by: Any = None,
    **_: Any,
) -> str | None:
    """Opens a run of ``pipeline`` and starts it; returns the run's id. The way to run one by hand.

    ``by`` says who asks for it, see :class:`batchord.core.run.history.Actor`. A tick (``trigger="schedule"``)
    opens what is due by the schedule: None when that is nothing.
    """
    with retrying(self):
        if trigger == start.SCHEDULE:
            runs, messages = start.tick(parts(), pipeline=pipeline)
            publish(messages)
            return runs[-1].id if runs else None
        run, messages = start.start_run(
            parts(),
            pipeline=pipeline,
            trigger=trigger,
            params=params,
            after_run=after_run,
            request=self.request.id,
            actor=None if after_run else _actor(self, by),
        )
        publish(messages)
    return run.id


@shared_task(bind=True, name="batchord.follow_run", ignore_result=True)  # type: ignore[untyped-decorator]
def follow_run(self: Task, *, pipeline: str, after_run: str, **_: Any) -> None:
    """Opens a run of ``pipeline``, which follows the pipeline of ``after_run``.

    Not a matter of ``start_run``: a worker of the release before takes every ``after_run`` for one with a backlog.
    """
    with retrying(self):
        publish(start.start_run(parts(), pipeline=pipeline, trigger=start.AFTER, after_run=after_run)[1])


@shared_task(bind=True, name="batchord.advance_run", ignore_result=True, throws=(WorkFailed,))  # type: ignore[untyped-decorator]
def advance_run(self: Task, *, run_id: str, **_: Any) -> None:
    """Starts what can start in a run."""
    with retrying(self):
        publish(advance.advance(parts(), run_id=run_id))
        fail_with_run(run_id)


@shared_task(bind=True, name="batchord.plan_step", ignore_result=True, throws=(WorkFailed,))  # type: ignore[untyped-decorator]
def plan_step(self: Task, *, run_id: str, step: str, **_: Any) -> None:
    """Finds the step's records and sends the chord of its shards."""
    with reading_slot(self), retrying(self):
        publish(plan.plan_step(parts(), run_id=run_id, step=step))
        fail_with_step(run_id, step)


@shared_task(
    bind=True,
    name="batchord.run_step",
    ignore_result=True,
    throws=(WorkFailed,),
    # Each message carries its step's own.
    time_limit=None,
    Request=f"{__package__}.requests:StepRequest",
)  # type: ignore[untyped-decorator]
def run_step(self: Task, *, run_id: str, step: str, **_: Any) -> None:
    """Executes a step that is a function, SQL, a command or a decision."""
    with retrying(self):
        publish(execute.execute_step(parts(), run_id=run_id, step=step))
        fail_with_step(run_id, step)


@shared_task(
    bind=True,
    name="batchord.predict_shard",
    # The chord counts its parts all the same.
    ignore_result=True,
    throws=(WorkFailed,),
    time_limit=settings().shard_time_limit_seconds,
    Request=f"{__package__}.requests:ShardRequest",
)  # type: ignore[untyped-decorator]
def predict_shard(self: Task, *, run_id: str, step: str, index: int, **_: Any) -> int:
    """Predicts a shard; returns only its index, so that a second delivery gives the chord the same result."""
    try:
        with retrying(self):
            publish(predict.predict_shard(parts(), run_id=run_id, step=step, index=index, in_new_process=is_new()))
            fail_with_shard(self, run_id, step, index)
    except predict.ShardHeld as held:
        # Acknowledged, and not counted by the chord: the owner's own message counts.
        raise Ignore(str(held)) from held
    return index


@shared_task(bind=True, name="batchord.finish_step", ignore_result=True, throws=(WorkFailed,))  # type: ignore[untyped-decorator]
def finish_step(self: Task, *, run_id: str, step: str, **_: Any) -> None:
    """The chord's body: aggregates from the ledger and drives the run on."""
    with retrying(self):
        publish(finish.finish_step(parts(), run_id=run_id, step=step))
        fail_with_step(run_id, step)


@shared_task(name="batchord.sweep", ignore_result=True)  # type: ignore[untyped-decorator]
def sweep(**_: Any) -> None:
    """Sends again what was lost. Not retried: the next one comes within seconds."""
    publish(recover.sweep(parts()))
    # Redis, in which beat sees it, may have been flushed.
    switch.show_switched(parts())


@shared_task(name="batchord.watch", ignore_result=True)  # type: ignore[untyped-decorator]
def watch_pipelines(**_: Any) -> None:
    """Opens runs for ticks that were lost, and looks at objectives. Not retried, as the sweep."""
    publish(watch.watch(parts()))


@shared_task(name="batchord.send_alerts", ignore_result=True)  # type: ignore[untyped-decorator]
def send_alerts(**_: Any) -> None:
    """Sends the messages to people that are due. Not retried: the sweep finds what is left."""
    tell.send_alerts(parts())


@shared_task(bind=True, name="batchord.prune", ignore_result=True)  # type: ignore[untyped-decorator]
def prune_ledger(self: Task, *, by: Any = None, **_: Any) -> None:
    """Deletes what need not be kept any longer. Sent daily by beat, which names nobody."""
    with retrying(self):
        actor = None if by is None else _actor(self, by)
        log.info("Pruned: %s", prune.prune(parts(), actor=actor).as_json())


@shared_task(bind=True, name="batchord.cancel_run", ignore_result=True)  # type: ignore[untyped-decorator]
def cancel_run(self: Task, *, run_id: str, by: Any = None, **_: Any) -> None:
    """Ends a run that has not ended; what was predicted stays."""
    with retrying(self):
        publish(cancel.cancel_run(parts(), run_id=run_id, actor=_actor(self, by)))


@shared_task(bind=True, name="batchord.audit", ignore_result=True)  # type: ignore[untyped-decorator]
def audit_pipelines(self: Task, **_: Any) -> None:
    """Audits every pipeline, and starts a run for what is missing. Sent daily by beat."""
    with reading_slot(self), retrying(self):
        for messages in audit.audit_all(parts()):
            publish(messages)


def _actor(task: Task, by: Any) -> Actor:
    return Actor.from_message(by, origin=getattr(task.request, "origin", None))


def publish(messages: Sequence[Message]) -> None:
    """Sends what a verb returned, after its commit; whatever is lost here, the sweeper sends again.

    So a broker that is away fails no task: a shard that is done stays done, and its chord part counts.
    """
    for message in messages:
        fault("after-commit-before-publish")
        try:
            _send(message)
        except _UNSENT as error:
            if is_exhaustion(error):
                note_exhaustion(error)
            log.warning("%s is left to the sweeper: %s", message, " ".join(str(error).split()))


def _send(message: Message) -> None:
    match message:
        case StepReady():
            _send_step(message)
        case ShardsReady(run_id=run_id, step=step, queue=queue, indexes=indexes):
            header = [
                predict_shard.s(run_id=run_id, step=step, index=index, version=VERSION).set(queue=queue)
                for index in indexes
            ]
            chord(header)(finish_step.si(run_id=run_id, step=step, version=VERSION))
        case StepEnded(run_id=run_id, step=step):
            finish_step.apply_async(kwargs={"run_id": run_id, "step": step, "version": VERSION})
        case RunReady(run_id=run_id):
            advance_run.apply_async(kwargs={"run_id": run_id, "version": VERSION})
        case BacklogLeft(pipeline=pipeline, after_run=after_run):
            values = {"pipeline": pipeline, "trigger": start.BACKLOG, "after_run": after_run, "version": VERSION}
            start_run.apply_async(kwargs=values, ignore_result=True)
        case RunEnded():
            for follower in follow.followers(parts().catalog, message):
                _send(follower)
        case FollowUp(pipeline=pipeline, after_run=after_run):
            follow_run.apply_async(kwargs={"pipeline": pipeline, "after_run": after_run, "version": VERSION})
        case AlertsKept():
            send_alerts.apply_async()


def _send_step(message: StepReady) -> None:
    if message.delay > LONGEST_DELAY:  # the sweeper sends it when its time has come
        return
    route = route_step(message)
    current_app.tasks[route.task].apply_async(
        kwargs={**route.kwargs, "version": VERSION},
        queue=route.queue,
        time_limit=route.time_limit,
        countdown=route.countdown,
    )


@contextmanager
def retrying(task: Task) -> Iterator[None]:
    """Turns a TransientError into Celery's retry, with exponential backoff and jitter.

    The number of those attempts is not limited here: the ledger counts the ones that did work. In a rolling
    deploy, a message of a newer release, or for a pipeline that this worker does not know, is handed back in
    the same way for a worker that does; that is limited, since there may be none.
    """
    understand(task, VERSION)
    try:
        yield
    except TransientError as error:
        wait = next_wait(task) if error.wait is None else error.wait
        if wait > LONGEST_DELAY:  # the sweeper sends it when its time has come
            raise Ignore(str(error)) from error
        raise task.retry(exc=error, countdown=wait, max_retries=None) from error
    except UnknownPipeline as error:
        if task.request.retries >= MOST_HAND_BACKS:
            raise
        log.warning("%s is handed back for a worker that knows the pipeline: %s", task.name, error)
        raise task.retry(exc=error, countdown=next_wait(task), max_retries=MOST_HAND_BACKS) from error
