"""Calls the verb for each kind of message. No other place decides this."""

from typing import assert_never

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
        case ShardReady(run_id=run_id, step=step, index=index):
            return predict_shard(parts, run_id=run_id, step=step, index=index, in_new_process=in_new_process)
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
