"""Replaces a process of the pool between two tasks, if it must not take another one.

For example, a process that lacked memory or threads keeps what it took, so it would lack them for the next task, too.
"""

import sys
from typing import Any

from billiard.pool import EX_RECYCLE
from celery.concurrency import asynpool

from batchord.core.process.exhaustion import is_exhausted
from batchord.wiring import catalog


class _Process:
    """The state of this process."""

    spent = False
    #: How many tasks it has begun.
    begun = 0


def spend() -> None:
    """Notes that this process must not take another task: objects in its memory do not work any more."""
    _Process.spent = True


def begin_task() -> None:
    """Notes that this process begins a task."""
    _Process.begun += 1


def is_new() -> bool:
    """Whether the current task is the first of this process, so that only this task has filled its memory."""
    return _Process.begun <= 1


class ReplaceableWorker(asynpool.Worker):  # type: ignore[misc]
    """A worker process that exits between two tasks if it is spent, has lacked memory, or its code was edited.

    It exits like a process that has had its number of tasks. If a task begins all the same, the process loads the new
    code. But only a new process is free of what the old code left in libraries and in memory.
    """

    def _make_child_methods(self, *args: Any) -> None:
        super()._make_child_methods(*args)
        receive: Any = self.wait_for_job  # type: ignore[has-type]  # set by the line above
        worked = False

        def wait_for_job(*args: Any, **kwargs: Any) -> Any:
            nonlocal worked
            # Only right after a task: no task can be on its way to a process that was busy until now.
            if worked and (_Process.spent or is_exhausted() or catalog().stale):
                sys.exit(EX_RECYCLE)
            worked = False
            received = receive(*args, **kwargs)
            worked = bool(received)
            return received

        self.wait_for_job = wait_for_job
