"""Reads a source as fast as it can, so that no transaction on it waits for the model."""

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class _Spool(Generic[T]):
    """Iterates in a thread and keeps the items up to a total weight, but at least one item."""

    def __init__(self, items: Iterable[T], weight: Callable[[T], int], most: int) -> None:
        self._items = items
        self._weight = weight
        self._most = most
        self._kept: deque[tuple[T, int]] = deque()
        self._heaviness = 0
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        # The thread gets the context of its starter, so that its lines belong to the same attempt.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=[self._run], name="batchord-spool", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops the thread at its next item, and waits for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def read(self) -> Iterator[T]:
        """The items in order; then raises what the iteration raised."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._kept or self._ended)
                if not self._kept:
                    break
                item, weight = self._kept.popleft()
                self._heaviness -= weight
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        iterator = iter(self._items)
        try:
            for item in iterator:
                if not self._keep(item):
                    return
        except BaseException as error:  # noqa: BLE001 -- raised again in the reader's thread
            self._error = error
        finally:
            # The thread that ran a generator must also close it: the clean-up ends its cursor and its transaction.
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _keep(self, item: T) -> bool:
        weight = self._weight(item)
        with self._changed:
            self._kept.append((item, weight))
            self._heaviness += weight
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._heaviness < self._most or self._stopped)
            return not self._stopped


@contextmanager
def spooled(items: Iterable[T], *, weight: Callable[[T], int], most: int) -> Iterator[Iterator[T]]:
    """Iterates ``items`` in a thread, and pauses while the kept items weigh ``most``. The reader gets its errors.

    If the block ends early, the thread stops at its next item, and the block waits for it.
    """
    spool = _Spool(items, weight, most)
    try:
        yield spool.read()
    finally:
        spool.close()
