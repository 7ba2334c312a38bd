"""Calls the verb for each kind of message. No other place decides this.

A message may be worked off in place, by the process to which a verb has returned it: after the verb's commit, as if it
had been sent and taken at once. If the process dies then, the message is lost, and the sweeper sends it again.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from batchord.core.errors import TransientError, UnknownPipeline
from batchord.core.process.fault_points import fault
from batchord.core.run.messages import (
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
from batchord.flow.begin.start import AFTER, follow_up, start_run
from batchord.flow.drive.advance import advance
from batchord.flow.drive.finish import finish_step
from batchord.flow.parts import Parts
from batchord.flow.predict.plan import plan_step
from batchord.flow.predict.shard import predict_shard
from batchord.flow.step.execute import execute_step
from batchord.flow.upkeep.tell import send_alerts


def dispatch(parts: Parts, message: Message, *, in_new_process: bool = True) -> list[Message]:  # noqa: C901, PLR0911 -- a case each
    """Does what the message asks for, and returns the messages that follow from it.

    The verb has committed then; the caller sends these messages, or works them off. ``in_new_process``: whether this
    process has predicted nothing before. Raises what the verbs raise. Raises UnknownPipeline, before it does anything,
    if the run's pipeline may be in a file that cannot be loaded.
    """
    if isinstance(message, StepReady | ShardReady):
        parts.check_files(message.run_id)
    match message:
        case StepReady(run_id=run_id, step=step, sharded=True):
            return plan_step(parts, run_id=run_id, step=step)
        case StepReady(run_id=run_id, step=step):
            return execute_step(parts, run_id=run_id, step=step)
        case ShardsReady(run_id=run_id, step=step, indexes=indexes):
            shards = [ShardReady(run_id=run_id, step=step, index=index) for index in indexes]
            return [*shards, StepEnded(run_id=run_id, step=step)]
        case ShardReady(run_id=run_id, step=step, index=index, alone=alone):
            return predict_shard(
                parts, run_id=run_id, step=step, index=index, in_new_process=in_new_process, alone=alone
            )
        case StepEnded(run_id=run_id, step=step):
            return finish_step(parts, run_id=run_id, step=step)
        case RunReady(run_id=run_id):
            return advance(parts, run_id=run_id)
        case BacklogLeft(pipeline=pipeline, after_run=after_run):
            return follow_up(parts, pipeline=pipeline, after_run=after_run)[1]
        case RunEnded():
            return [*followers(parts.catalog, message)]
        case FollowUp(pipeline=pipeline, after_run=after_run):
            return start_run(parts, pipeline=pipeline, trigger=AFTER, after_run=after_run)[1]
        case AlertsKept():
            send_alerts(parts)
            return []
    assert_never(message)


def work_off(parts: Parts, message: Message, *, in_new_process: bool = True) -> list[Message]:
    """The same as :func:`dispatch`, but a process that has planned no shard, or has ended the only one, ends the step.

    To end it takes less than a message that asks another process to do so.
    """
    following = dispatch(parts, message, in_new_process=in_new_process)
    goes_on = isinstance(message, StepReady) or (isinstance(message, ShardReady) and message.alone)
    if goes_on and [type(each) for each in following] == [StepEnded]:
        with suppress(TransientError, UnknownPipeline):  # then the message is sent
            fault("after-commit-before-publish")
            return dispatch(parts, following[0])
    return following


def to_plan_in_place(messages: Sequence[Message]) -> StepReady | None:
    """The message that the process of a tick works off in place: that of the only step to plan. None: there is none.

    Several steps are planned at the same time, by several processes.
    """
    ready = [message for message in messages if isinstance(message, StepReady) and message.sharded]
    return ready[0] if len(ready) == 1 and not ready[0].delay else None


def plan_in_place(parts: Parts, ready: StepReady) -> list[Message]:
    """Plans the step. Returns what follows, or a message to plan it later if that cannot be done now."""
    fault("after-commit-before-publish")
    try:
        return work_off(parts, ready)
    except TransientError as error:
        wait = parts.settings.retry_base_seconds if error.wait is None else error.wait
        return [replace(ready, delay=wait)]
    except UnknownPipeline:  # another worker may know it
        return [ready]
