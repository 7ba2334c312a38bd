"""A process of the pool that is not to take another task ends after the one in hand, and a new one takes its place.

One that lacked memory or threads keeps what it took, and would lack them for the next task, too.
"""

import sys
from typing import Any

from billiard.pool import EX_RECYCLE
from celery.concurrency import asynpool

from batchord.core.process.exhaustion import is_exhausted
from batchord.wiring import catalog


class _Process:
    """This process."""

    spent = False
    #: Tasks that it has begun.
    begun = 0


def spend() -> None:
    """Says that this process is not to take another task: what it has in memory is of no use any more."""
    _Process.spent = True


def begin_task() -> None:
    """Says that this process begins a task."""
    _Process.begun += 1


def is_new() -> bool:
    """Whether the task in hand is the first one of this process, so that what fills its memory is that task's."""
    return _Process.begun <= 1


class ReplaceableWorker(asynpool.Worker):  # type: ignore[misc]
    """Celery's own, but it leaves between two tasks when it is spent, lacked memory, or its code was edited.

    It leaves as one does that has had enough tasks. A task that begins all the same finds the new code: the process
    loads it anew. But what the old code left behind, in its libraries and in memory, goes with the process only.
    """

    def _make_child_methods(self, *args: Any) -> None:
        super()._make_child_methods(*args)
        receive: Any = self.wait_for_job  # type: ignore[has-type]  # set by the line above
        worked = False

        def wait_for_job(*args: Any, **kwargs: Any) -> Any:
            nonlocal worked
            # Right after a task, when no other can be on its way to a process that is at work.
            if worked and (_Process.spent or is_exhausted() or catalog().stale):
                sys.exit(EX_RECYCLE)
            worked = False
            received = receive(*args, **kwargs)
            worked = bool(received)
            return received

        self.wait_for_job = wait_for_job
