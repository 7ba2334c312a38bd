"""Keeps a lease while its owner works."""

import contextvars
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from app.core.errors import LeaseLost, TransientError


class Heartbeat:
    """Calls ``beat`` at an interval, in a thread, until the block ends.

    ``beat`` keeps the lease; it returns False or raises LeaseLost when the lease is gone, which ends the
    thread and sets :attr:`lost`. A TransientError is borne: the next beat may be in time. Whether a write
    is allowed is decided by the token in the ledger alone, never by this thread.
    """

    def __init__(self, beat: Callable[[], bool | None], *, every: float) -> None:
        self._beat = beat
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
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                kept = self._beat()
            except TransientError:
                continue
            except LeaseLost:
                kept = False
            if kept is False:
                self.lost.set()
                return
