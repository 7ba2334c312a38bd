"""What a verb wants sent once its transaction is committed.

Verbs return these instead of sending: so nothing can be published before it is committed, and the same
verbs run on Celery and in one process alike. Any message may be lost, doubled, late or out of order.
"""

from dataclasses import dataclass

from batchord.core.run.runs import RunState, Step

#: What each message says of itself. It rises only when the release before would misread what is sent: a new keyword
#: does not ask for it, since tasks ignore those that they do not know.
VERSION = 1
#: Seconds: a longer wait is left to the sweeper, since a message that waits is held by a worker and would come back to
#: Redis after the visibility timeout.
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
    #: Seconds to wait before.
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
    """Shards wait for workers; when all have ended, the step can be finished."""

    run_id: str
    step: str
    #: The queue whose workers run the step's model.
    queue: str
    indexes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ShardReady:
    """One of them: predict it."""

    run_id: str
    step: str
    index: int


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
    """A run took as much as one run may; a follow-up run goes on."""

    pipeline: str
    #: The run that left it; one run has at most one follow-up.
    after_run: str


@dataclass(frozen=True, kw_only=True)
class RunEnded:
    """A run is over: pipelines that follow it may start."""

    run_id: str
    pipeline: str
    state: RunState


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """One pipeline follows a run of another."""

    pipeline: str
    after_run: str


@dataclass(frozen=True, kw_only=True)
class AlertsKept:
    """Messages to people wait to be sent."""


Message = StepReady | ShardsReady | ShardReady | StepEnded | RunReady | BacklogLeft | RunEnded | FollowUp | AlertsKept
