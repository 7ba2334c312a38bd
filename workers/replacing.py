"""A process of the pool whose code was edited ends after its task, and a new one takes its place."""

import sys
from typing import Any

from billiard.pool import EX_RECYCLE
from celery.concurrency import asynpool

from app.wiring import catalog


class ReplaceableWorker(asynpool.Worker):  # type: ignore[misc]
    """Celery's own, but it leaves between two tasks, as one does that has had enough of them.

    A task that begins meanwhile finds the new code all the same: the process loads it anew. But what the old code
    left behind, in its libraries and in memory, goes with the process only.
    """

    def _make_child_methods(self, *args: Any) -> None:
        super()._make_child_methods(*args)
        receive: Any = self.wait_for_job  # type: ignore[has-type]  # set by the line above
        worked = False

        def wait_for_job(*args: Any, **kwargs: Any) -> Any:
            nonlocal worked
            # Right after a task, when no other can be on its way to a process that is at work.
            if worked and catalog().stale:
                sys.exit(EX_RECYCLE)
            worked = False
            received = receive(*args, **kwargs)
            worked = bool(received)
            return received

        self.wait_for_job = wait_for_job
