"""What a verb wants sent once its transaction is committed.

Verbs return these instead of sending: so nothing can be published before it is committed, and the same
verbs run on Celery and in one process alike. Any message may be lost, doubled, late or out of order.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StepReady:
    """A step may start: plan it."""

    run_id: str
    step: str


@dataclass(frozen=True, kw_only=True)
class ShardsReady:
    """Shards wait for workers; when all have ended, the step can be finished."""

    run_id: str
    step: str
    #: The queue whose workers run the step's model.
    queue: str
    indexes: tuple[int, ...]


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


Message = StepReady | ShardsReady | StepEnded | RunReady | BacklogLeft
