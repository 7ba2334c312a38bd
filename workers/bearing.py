"""The base of all tasks: no task ends with a MemoryError, and no task's error holds a secret.

If a task raises MemoryError, Celery's parent process raises it again as its own, and ends.
"""

from typing import Any

from celery.exceptions import Ignore, Reject, Retry

from batchord.core.errors import BatchordError, TransientError
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.text.error_text import error_text
from batchord.queue.replies import SecretFreeTask


class BearingTask(SecretFreeTask):
    """A task that is handed back to another process if this one lacks memory or threads."""

    #: None: some tasks are tried again without a limit, and Celery would give up after three attempts.
    max_retries = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the task. Raises Retry instead of MemoryError and similar errors."""
        from .handing_back import MOST_HAND_BACKS, next_wait
        from .replacing import begin_task

        begin_task()
        run = super().__call__ if self.request.called_directly else self.run
        try:
            return run(*args, **kwargs)
        except (Retry, Ignore, Reject, BatchordError):
            raise  # the code that raised it has done everything else
        except Exception as error:
            if not is_exhaustion(error):
                raise
            note_exhaustion(error)
            lack = TransientError(f"{self.name} lacked memory or threads: {error_text(error)}")
        raise self.retry(exc=lack, countdown=next_wait(self), max_retries=MOST_HAND_BACKS)
