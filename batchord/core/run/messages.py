"""The messages that a verb wants sent once its transaction is committed.

Verbs return messages instead of sending them. So nothing can be published before it is committed, and the same verbs
work on Celery and in one process. Any message may be lost, doubled, late or out of order.
"""

from dataclasses import dataclass

from batchord.core.run.runs import RunState, Step

#: The version that each message carries. It rises only if the previous release would misread a message. A new keyword
#: does not need a new version, since tasks ignore keywords that they do not know. Version 2: a worker of 0.2 cannot
#: write predictions into the table of their step, so it hands the message back.
VERSION = 2
#: The longest wait of a message, in seconds. A worker holds a message that waits, and Redis would deliver it again
#: after the visibility timeout. So the sweeper sends messages that are due later.
LONGEST_DELAY = 120.0


@dataclass(frozen=True, kw_only=True)
class StepReady:
    """A step may start: plan it, or execute it."""

    run_id: str
    step: str
    #: Whether it becomes shards, and so is to be planned; else it is executed.
    sharded: bool = True
    #: The queue whose workers execute it; None: control workers plan it.
    queue: str | None = None
    #: Seconds after which its process is ended; None: never.
    time_limit: float | None = None
    #: Seconds to wait before it starts.
    delay: float = 0


def step_ready(step: Step, *, delay: float = 0) -> StepReady:
    """The message for a step as the ledger knows it."""
    return StepReady(
        run_id=step.run_id,
        step=step.name,
        sharded=step.sharded,
        queue=None if step.sharded else step.queue,
        time_limit=step.time_limit,
        delay=delay,
    )


@dataclass(frozen=True, kw_only=True)
class ShardsReady:
    """Shards wait for workers. When all have ended, the step can be finished. A single one is sent without a chord."""

    run_id: str
    step: str
    #: The queue whose workers run the step's model.
    queue: str
    indexes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ShardReady:
    """One shard waits for a worker: predict it."""

    run_id: str
    step: str
    index: int
    #: Whether no chord counts it. Then its end asks for the end of the step.
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class StepEnded:
    """All shards of a step have ended: aggregate it."""

    run_id: str
    step: str


@dataclass(frozen=True, kw_only=True)
class RunReady:
    """A queued run may be able to start now."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class BacklogLeft:
    """A run took as many records as one run may take. A follow-up run continues."""

    pipeline: str
    #: The run that left the backlog. It has at most one follow-up run.
    after_run: str


@dataclass(frozen=True, kw_only=True)
class RunEnded:
    """A run is over: pipelines with ``after_pipeline`` of its pipeline may start."""

    run_id: str
    pipeline: str
    state: RunState


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """A pipeline with ``after_pipeline`` starts after a run of the other pipeline."""

    pipeline: str
    after_run: str


@dataclass(frozen=True, kw_only=True)
class AlertsKept:
    """Alerts wait in the ledger to be sent."""


Message = StepReady | ShardsReady | ShardReady | StepEnded | RunReady | BacklogLeft | RunEnded | FollowUp | AlertsKept
