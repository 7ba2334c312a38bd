"""Keeps a lease while its owner works."""

import contextvars
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from batchord.core.errors import LeaseLost, TransientError

#: How often a read is ended that goes on although the lease is lost.
_AGAIN_SECONDS = 1.0


class Heartbeat:
    """Calls ``beat`` at an interval, in a thread, until the block ends.

    ``beat`` keeps the lease; it returns False or raises LeaseLost when the lease is gone, which ends the
    thread and sets :attr:`lost`. A TransientError is borne: the next beat may be in time. Whether a write
    is allowed is decided by the token in the ledger alone, never by this thread.
    """

    def __init__(self, beat: Callable[[], bool | None], *, every: float, limit: float | None = None) -> None:
        """``limit``: seconds after which the work is over its time, and the lease is not kept any longer."""
        self._beat = beat
        self._limit = limit
        self._at_loss: list[Callable[[], None]] = []
        #: Set when the limit was exceeded.
        self.overdue = threading.Event()
        self._every = every
        self._stop = threading.Event()
        #: Set when the lease was taken over; long work may look at it to stop early.
        self.lost = threading.Event()
        # In its starter's context: what it logs belongs to the same attempt.
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
        """Lets the lease be; to be called once the work is done, or at the end of the block at the latest."""
        self._stop.set()
        self._thread.join()

    def at_loss(self, interrupt: Callable[[], None]) -> None:
        """Has ``interrupt`` called, in the thread of the beat, when the lease is lost or the work is over its time."""
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
        # Until the work has ended: between two reads there is nothing to interrupt.
        while not self._stop.is_set():
            for interrupt in list(self._at_loss):
                interrupt()
            self._stop.wait(_AGAIN_SECONDS)
