"""All tasks of Batchord, and how one leads to the next.

    beat ─ start_run ─ plan_step ─┬─ predict_shard ─┬─ finish_step ─ (next step, next run)
                    │             ├─ predict_shard ─┤
                    │             └─ predict_shard ─┘    the chord
                    └─ run_step ─ (next step, next run)

A task turns its arguments into a message, calls the message's verb, and publishes the messages that the verb returns:
commit, then publish. Each task takes only keywords and ignores those that it does not know, so that an old worker
understands a new message. If its shard, step or run has failed, a task ends as failed itself, after it has sent all
messages that follow.
"""

import importlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from celery import Task, current_task, shared_task
from celery.exceptions import Ignore

from batchord.core.errors import TransientError, UnknownPipeline, WorkFailed
from batchord.core.run import messages
from batchord.core.run.history import Actor
from batchord.core.run.messages import (
    LONGEST_DELAY,
    AlertsKept,
    FollowUp,
    Message,
    RunEnded,
    RunReady,
    ShardReady,
    ShardsReady,
    StepEnded,
    StepReady,
)
from batchord.core.run.runs import RunState
from batchord.flow import dispatch
from batchord.flow.begin import start
from batchord.flow.drive import cancel
from batchord.flow.parts import Parts
from batchord.flow.predict.shard import ShardHeld
from batchord.flow.upkeep import audit, move, prune, recover, switch, watch
from batchord.queue import publisher
from batchord.settings import settings
from batchord.wiring import parts

from .failures import fail_with_run, fail_with_shard, fail_with_step
from .handing_back import MOST_HAND_BACKS, check_version, next_wait
from .replacing import is_new
from .slots import free_slot, reading_slot

log = logging.getLogger(__name__)

#: The prefix of the names of ``app`` and ``workers``: ``batchord.`` in an installed Batchord, otherwise empty.
_AROUND = __name__.removesuffix("workers.tasks")


@shared_task(bind=True, name="batchord.start_run", throws=(WorkFailed,))  # type: ignore[untyped-decorator]
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
    """Opens a run of ``pipeline``, starts it and returns its id. People call this task to start a run by hand.

    ``by`` says who asks for it, see :class:`batchord.core.run.history.Actor`. A tick (``trigger="schedule"``) opens the
    runs that are due by the schedule; it returns None if there are none.

    If nobody waits for the id, this task also plans the first step, unless other tasks have all of this worker's slots
    for reading sources.
    """
    with retrying(self, only_here=trigger != start.SCHEDULE and after_run is None):
        if trigger == start.SCHEDULE:
            runs, messages = start.tick(parts(), pipeline=pipeline)
            publish_or_plan(messages)
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
        if self.request.ignore_result:
            publish_or_plan(messages)
        else:  # somebody waits for the run's id
            publish(messages)
    return run.id


@shared_task(bind=True, name="batchord.follow_run", ignore_result=True)  # type: ignore[untyped-decorator]
def follow_run(self: Task, *, pipeline: str, after_run: str, **_: Any) -> None:
    """Opens a run of ``pipeline``, which follows the pipeline of ``after_run``.

    ``start_run`` cannot do this: a worker of the previous release assumes that every ``after_run`` left a backlog.
    """
    with retrying(self):
        work_off(FollowUp(pipeline=pipeline, after_run=after_run))


@shared_task(bind=True, name="batchord.advance_run", ignore_result=True, throws=(WorkFailed,))  # type: ignore[untyped-decorator]
def advance_run(self: Task, *, run_id: str, **_: Any) -> None:
    """Starts the steps of a run that can start."""
    with retrying(self):
        work_off(RunReady(run_id=run_id))
        fail_with_run(run_id)


@shared_task(bind=True, name="batchord.plan_step", ignore_result=True, throws=(WorkFailed,))  # type: ignore[untyped-decorator]
def plan_step(self: Task, *, run_id: str, step: str, **_: Any) -> None:
    """Finds the step's records and sends the chord of its shards."""
    with reading_slot(self), retrying(self):
        work_off(StepReady(run_id=run_id, step=step))
        fail_with_step(run_id, step)


@shared_task(
    bind=True,
    name="batchord.run_step",
    ignore_result=True,
    throws=(WorkFailed,),
    # Each message carries the time limit of its step.
    time_limit=None,
    Request=f"{__package__}.losses:StepRequest",
)  # type: ignore[untyped-decorator]
def run_step(self: Task, *, run_id: str, step: str, **_: Any) -> None:
    """Executes a step that is no Predict step."""
    with retrying(self):
        work_off(StepReady(run_id=run_id, step=step, sharded=False))
        fail_with_step(run_id, step)


@shared_task(
    bind=True,
    name="batchord.predict_shard",
    # The chord counts its parts even so.
    ignore_result=True,
    throws=(WorkFailed,),
    time_limit=settings().shard_time_limit_seconds,
    Request=f"{__package__}.losses:ShardRequest",
)  # type: ignore[untyped-decorator]
def predict_shard(self: Task, *, run_id: str, step: str, index: int, alone: bool = False, **_: Any) -> int:
    """Predicts a shard. Returns only its index, so that a second delivery gives the chord the same result."""
    try:
        with retrying(self):
            work_off(ShardReady(run_id=run_id, step=step, index=index, alone=alone))
            fail_with_shard(self, run_id, step, index)
    except ShardHeld as held:
        # Acknowledges the message, but the chord does not count it: it counts the message of the worker with the lease.
        raise Ignore(str(held)) from held
    return index


@shared_task(bind=True, name="batchord.finish_step", ignore_result=True, throws=(WorkFailed,))  # type: ignore[untyped-decorator]
def finish_step(self: Task, *, run_id: str, step: str, **_: Any) -> None:
    """The body of the chord. Aggregates the step from the ledger and moves the run on."""
    with retrying(self):
        work_off(StepEnded(run_id=run_id, step=step))
        fail_with_step(run_id, step)


@shared_task(name="batchord.sweep", ignore_result=True)  # type: ignore[untyped-decorator]
def sweep(**_: Any) -> None:
    """Sends lost messages again. It is not retried: the next sweep comes within seconds."""
    publish(recover.sweep(parts()))
    # Beat reads the switches in Redis, which may have lost its data.
    switch.show_switched(parts())


@shared_task(name="batchord.watch", ignore_result=True)  # type: ignore[untyped-decorator]
def watch_pipelines(**_: Any) -> None:
    """Opens the runs of lost ticks, and checks what alerts are about. Like the sweep, it is not retried.

    Then it moves some predictions of earlier releases, if there are any.
    """
    publish(watch.watch(parts()))
    move.move_earlier(parts())


@shared_task(name="batchord.send_alerts", ignore_result=True)  # type: ignore[untyped-decorator]
def send_alerts(**_: Any) -> None:
    """Sends the alerts that are due. It is not retried: the sweep finds the remaining ones."""
    work_off(AlertsKept())


@shared_task(bind=True, name="batchord.prune", ignore_result=True)  # type: ignore[untyped-decorator]
def prune_ledger(self: Task, *, by: Any = None, **_: Any) -> None:
    """Deletes old rows and logs. Beat sends this task daily, without ``by``."""
    with retrying(self):
        actor = None if by is None else _actor(self, by)
        log.info("Pruned: %s", prune.prune(parts(), actor=actor).as_json())


@shared_task(bind=True, name="batchord.cancel_run", ignore_result=True)  # type: ignore[untyped-decorator]
def cancel_run(self: Task, *, run_id: str, by: Any = None, **_: Any) -> None:
    """Cancels a run that has not ended. Its predictions stay."""
    with retrying(self):
        publish(cancel.cancel_run(parts(), run_id=run_id, actor=_actor(self, by)))


@shared_task(bind=True, name="batchord.audit", ignore_result=True)  # type: ignore[untyped-decorator]
def audit_pipelines(self: Task, **_: Any) -> None:
    """Audits every pipeline, and starts runs for missing records. Beat sends this task daily."""
    with reading_slot(self), retrying(self):
        for messages in audit.audit_all(parts()):
            publish(messages)


def _run_report(run_id: str) -> str:
    """The report of a run. Its program is imported by name, as Celery's app is."""
    made: str = importlib.import_module(f"{_AROUND}app.run_report").report_of(run_id)
    return made


def work_off(message: Message) -> None:
    """Does what the message asks for, and publishes the messages that follow."""
    publish(dispatch.work_off(_task_parts(), message, in_new_process=is_new()))


def publish_or_plan(waiting: Sequence[Message]) -> None:
    """Publishes the messages that a verb returned, but plans the only step that is ready in this process.

    A message would have the same done by another thread of such a worker. Raises WorkFailed if the step has failed.
    """
    ready = dispatch.to_plan_in_place(waiting)
    with free_slot() if ready else nullcontext(False) as is_free:  # noqa: FBT003 -- what free_slot gives
        if ready is None or not is_free:
            publish(waiting)
            return
        publish([message for message in waiting if message is not ready])
        following = dispatch.plan_in_place(_task_parts(), ready)
    publish(following)
    if not any(_is_well(message) for message in following):
        fail_with_step(ready.run_id, ready.step)


def _is_well(message: Message) -> bool:
    """Whether no step has failed before this message. Then the ledger need not be asked."""
    return isinstance(message, ShardsReady) or (isinstance(message, RunEnded) and message.state is RunState.SUCCEEDED)


def _task_parts() -> Parts:
    return replace(parts(), task=current_task.request.id, run_report=_run_report)


def publish(waiting: Sequence[Message]) -> None:
    """Publishes the messages that a verb returned. Call it after the verb's commit."""
    publisher.publish(waiting, catalog=parts().catalog)


def _actor(task: Task, by: Any) -> Actor:
    return Actor.from_message(by, origin=getattr(task.request, "origin", None))


@contextmanager
def retrying(task: Task, *, only_here: bool = False) -> Iterator[None]:
    """Turns a TransientError into Celery's retry, with exponential backoff and jitter.

    The number of those attempts is not limited here: the ledger counts the ones that did work. In a rolling
    deploy, a message of a newer release, or for a pipeline that this worker does not know, is handed back in
    the same way for a worker that does; that is limited, since there may be none. But what stands ``only_here``, in
    this message, waits for as long as a pipeline file cannot be loaded: nothing would send it again.
    """
    check_version(task, messages.VERSION)
    try:
        yield
    except TransientError as error:
        wait = next_wait(task) if error.wait is None else error.wait
        if wait > LONGEST_DELAY:  # the sweeper sends the message when it is due
            raise Ignore(str(error)) from error
        raise task.retry(exc=error, countdown=wait, max_retries=None) from error
    except UnknownPipeline as error:
        waits = only_here and bool(parts().catalog.problems)
        if task.request.retries >= MOST_HAND_BACKS and not waits:
            raise
        log.warning(
            "This worker does not know the pipeline of %s and hands the message back for another worker: %s",
            task.name,
            error,
        )
        most = None if waits else MOST_HAND_BACKS
        raise task.retry(exc=error, countdown=next_wait(task), max_retries=most) from error
