"""What all tasks have in common: none of them ends with a lack of memory, and none tells a secret.

Celery's parent process raises a task's MemoryError again as its own, and ends.
"""

from typing import Any

from celery.exceptions import Ignore, Reject, Retry

from batchord.core.errors import BatchordError, TransientError
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.text.error_text import error_text
from batchord.queue.replies import SecretFreeTask


class BearingTask(SecretFreeTask):
    """Celery's own, but for want of memory or threads it is handed back, for a process that has them."""

    #: None: where a task is tried again for as long as it takes, Celery would give up after three times.
    max_retries = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the task. Raises Retry in place of MemoryError and its like."""
        from .handing_back import MOST_HAND_BACKS, next_wait
        from .replacing import begin_task

        begin_task()
        run = super().__call__ if self.request.called_directly else self.run
        try:
            return run(*args, **kwargs)
        except (Retry, Ignore, Reject, BatchordError):
            raise  # whoever raised it has seen to the rest
        except Exception as error:
            if not is_exhaustion(error):
                raise
            note_exhaustion(error)
            lack = TransientError(f"{self.name} lacked memory or threads: {error_text(error)}")
        raise self.retry(exc=lack, countdown=next_wait(self), max_retries=MOST_HAND_BACKS)
