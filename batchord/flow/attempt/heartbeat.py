"""Keeps a lease while its owner works."""

import contextvars
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from batchord.core.errors import LeaseLost, TransientError

#: Seconds between two tries to end a read that continues after the lease is lost.
_AGAIN_SECONDS = 1.0


class Heartbeat:
    """Calls ``beat`` at an interval, in a thread, until the block ends.

    ``beat`` extends the lease. If the lease is gone, it returns False or raises LeaseLost; then the thread sets
    :attr:`lost` and does not call it again. After a TransientError the thread continues: the next beat may still be in
    time. Only the token in the ledger decides whether a write is allowed, never this thread.
    """

    def __init__(self, beat: Callable[[], bool | None], *, every: float, limit: float | None = None) -> None:
        """``limit``: seconds after which the work has taken too long; then the thread stops extending the lease."""
        self._beat = beat
        self._limit = limit
        self._at_loss: list[Callable[[], None]] = []
        #: Set when the limit was exceeded.
        self.overdue = threading.Event()
        self._every = every
        self._stop = threading.Event()
        #: Set when the lease is lost; long work may check it to stop early.
        self.lost = threading.Event()
        # The thread gets the context of its starter, so that its lines belong to the same attempt.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=[self._run], name="batchord-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops extending the lease. Call it when the work is done, at the latest at the end of the block."""
        self._stop.set()
        self._thread.join()

    def at_loss(self, interrupt: Callable[[], None]) -> None:
        """Calls ``interrupt``, in the heartbeat's thread, when the lease is lost or the work has taken too long."""
        self._at_loss.append(interrupt)

    def _run(self) -> None:
        end = None if self._limit is None else time.monotonic() + self._limit
        while not self._stop.wait(self._every if end is None else max(0.0, min(self._every, end - time.monotonic()))):
            if end is not None and time.monotonic() >= end:
                self.overdue.set()
                break
            try:
                kept = self._beat()
            except TransientError:
                continue
            except LeaseLost:
                kept = False
            if kept is False:
                break
        else:
            return
        self.lost.set()
        # Repeat this until the work ends: a call between two reads finds nothing to interrupt.
        while not self._stop.is_set():
            for interrupt in list(self._at_loss):
                interrupt()
            self._stop.wait(_AGAIN_SECONDS)
