"""What the worker's parent process does when a pool child dies over its work.

The child cannot say so any more, but its parent sees the signal or the time limit. It tells the ledger, which
ends the lease at once: the message that comes back is not turned away by the lease of a dead process, and the
cause is known when the record that did it is rejected, or the step is judged.
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

#: How long a worker that ends waits for the ledger.
_TELL_SECONDS = 5.0
#: How long a process that has exceeded its time limit may still live: the pool ends it after it has told of it.
_END_SECONDS = 1.0


class _LossTellingRequest(Request):  # type: ignore[misc]
    """A request whose child's death is told to the ledger."""

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 -- Celery's signature
        """The hard limit ended the child."""
        if not soft:
            self._tell(LossCause.OUT_OF_TIME, f"lost: time limit of {timeout:g} s exceeded")
        super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """A signal, or an exit, ended the child."""
        error = exc_info.exception
        error = getattr(error, "exc", error)
        if isinstance(error, WorkerLostError | SystemExit):
            # billiard says the signal in a sentence, and nowhere else.
            killed = "SIGKILL" in str(error)
            self._tell(LossCause.KILLED if killed else LossCause.ENDED, f"lost: {error}")
        return super().on_failure(exc_info, *args, **kwargs)

    def cancel(self, *args: Any, **kwargs: Any) -> None:
        """The worker was told to stop, and its time is over: what is left of the work is for others at once."""
        super().cancel(*args, **kwargs)
        # In a thread: Celery calls this from a signal's handler, which may have interrupted a use of the ledger.
        told = threading.Thread(
            target=self._tell,
            args=(LossCause.STOPPED, "handed back: its worker was told to stop"),
            kwargs={"loss": False},
            daemon=True,
        )
        told.start()
        told.join(_TELL_SECONDS)

    def _tell(self, cause: LossCause, error: str, *, loss: bool = True) -> None:
        try:
            self.note_loss(f"{socket.gethostname()}:{self.worker_pid}", cause, error, loss=loss)
        except BatchordError as failure:
            # The lease runs out by itself; only time is lost.
            log.warning(
                "The loss of a worker that worked on %s could not be recorded in the ledger: %s", self.kwargs, failure
            )

    def note_loss(self, worker: str, cause: LossCause, error: str, *, loss: bool) -> None:
        """Tells the ledger that ``worker`` no longer works on it; ``loss``: whether its records may be to blame."""
        raise NotImplementedError


class ShardRequest(_LossTellingRequest):
    """A request for ``batchord.predict_shard``."""

    def note_loss(self, worker: str, cause: LossCause, error: str, *, loss: bool) -> None:
        """See the base class."""
        from batchord.wiring import ledger

        shard = (self.kwargs["run_id"], self.kwargs["step"], self.kwargs["index"])
        ledger().shards.lost(*shard, worker=worker, cause=cause, error=error, loss=loss)


class StepRequest(_LossTellingRequest):
    """A request for ``batchord.run_step``."""

    def note_loss(self, worker: str, cause: LossCause, error: str, *, loss: bool) -> None:
        """See the base class. After a time limit no message is left for the step: it is sent again."""
        from batchord.core.run.messages import step_ready
        from batchord.wiring import ledger

        from .tasks import publish

        run_id, step = self.kwargs["run_id"], self.kwargs["step"]
        # One that is handed back at a shutdown returns to the queue by itself, and the connection is closing.
        if ledger().runs.lose_step(run_id, step, worker=worker, cause=cause, error=error, loss=loss) and loss:
            again = [known for known in ledger().runs.steps(run_id) if known.name == step]
            publish([step_ready(known, delay=_END_SECONDS) for known in again])
