"""Notes in the ledger that a child of the pool died during its work.

The child cannot report it any more, but its parent sees the signal or the time limit. The parent tells the ledger,
which ends the lease at once. So the lease of a dead process does not turn away the message when it comes back. And the
cause is known when the record that killed the process is rejected, or when somebody decides about the step.
"""

import logging
import socket
import threading
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker.request import Request

from batchord.core.errors import BatchordError
from batchord.core.reasons import LossCause

log = logging.getLogger(__name__)

#: How long a worker that is shutting down waits for the ledger.
_TELL_SECONDS = 5.0
#: How long a process may still live after its time limit: the pool kills it only after on_timeout().
_END_SECONDS = 1.0


class _LossTellingRequest(Request):  # type: ignore[misc]
    """A request that tells the ledger if its child died."""

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 -- Celery's signature
        """Celery calls this when the hard time limit ends the child."""
        if not soft:
            self._tell(LossCause.OUT_OF_TIME, f"lost: time limit of {timeout:g} s exceeded")
        super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Celery calls this when the task failed, or when a signal or an exit ended the child."""
        error = exc_info.exception
        error = getattr(error, "exc", error)
        if isinstance(error, WorkerLostError | SystemExit):
            # billiard names the signal only in the error's text.
            killed = "SIGKILL" in str(error)
            self._tell(LossCause.KILLED if killed else LossCause.ENDED, f"lost: {error}")
        return super().on_failure(exc_info, *args, **kwargs)

    def cancel(self, *args: Any, **kwargs: Any) -> None:
        """Celery calls this when the worker was told to stop and its time is over. Others can take the work at once."""
        super().cancel(*args, **kwargs)
        # In a thread: Celery calls this from a signal handler, which may have interrupted a call of the ledger.
        thread = threading.Thread(
            target=self._tell,
            args=(LossCause.STOPPED, "handed back: its worker was told to stop"),
            kwargs={"loss": False},
            daemon=True,
        )
        thread.start()
        thread.join(_TELL_SECONDS)

    def _tell(self, cause: LossCause, error: str, *, loss: bool = True) -> None:
        try:
            self.note_loss(f"{socket.gethostname()}:{self.worker_pid}", cause, error, loss=loss)
        except BatchordError as failure:
            # The lease will run out by itself. Only time is lost.
            log.warning(
                "The loss of a worker that worked on %s could not be recorded in the ledger: %s", self.kwargs, failure
            )

    def note_loss(self, worker: str, cause: LossCause, error: str, *, loss: bool) -> None:
        """Tells the ledger that ``worker`` has stopped working on it. ``loss``: whether its records may be to blame."""
        raise NotImplementedError


class ShardRequest(_LossTellingRequest):
    """A request for ``batchord.predict_shard``."""

    def note_loss(self, worker: str, cause: LossCause, error: str, *, loss: bool) -> None:
        """See the base class."""
        from batchord.wiring import ledger

        shard = (self.kwargs["run_id"], self.kwargs["step"], self.kwargs["index"])
        ledger().shards.lose(*shard, worker=worker, cause=cause, error=error, loss=loss)


class StepRequest(_LossTellingRequest):
    """A request for ``batchord.run_step``."""

    def note_loss(self, worker: str, cause: LossCause, error: str, *, loss: bool) -> None:
        """See the base class. After a time limit, Celery drops the step's message, so this sends it again."""
        from batchord.core.run.messages import step_ready
        from batchord.wiring import ledger

        from .tasks import publish

        run_id, step = self.kwargs["run_id"], self.kwargs["step"]
        # At a shutdown, the message returns to the queue by itself, and the connection is closing.
        if ledger().runs.lose_step(run_id, step, worker=worker, cause=cause, error=error, loss=loss) and loss:
            rows = [row for row in ledger().runs.steps(run_id) if row.name == step]
            publish([step_ready(row, delay=_END_SECONDS) for row in rows])
