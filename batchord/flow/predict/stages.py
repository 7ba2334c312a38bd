"""Reads ahead and writes behind, so that the model never waits for servers and memory stays bounded."""

import contextvars
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class _End:
    """Marks the end of a stage; carries the error that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Reader(Generic[T]):
    """Iterates in a thread, a bounded number of items ahead of the reader."""

    def __init__(self, items: Iterable[T], *, depth: int) -> None:
        self._items = items
        self._ahead: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        # The thread gets the context of its starter, so that its lines belong to the same attempt.
        target = contextvars.copy_context().run
        self._thread = threading.Thread(target=target, args=[self._run], name="batchord-reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops the thread at its next item, and waits for it."""
        self._stop.set()
        self._thread.join()

    def read(self) -> Iterator[T]:
        """The items in order; raises what the iteration raised."""
        while not isinstance(item := self._ahead.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def _run(self) -> None:
        iterator = iter(self._items)
        try:
            for item in iterator:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 -- raised again in the reader's thread
            self._put(_End(error))
        else:
            self._put(_End())
        finally:
            # The thread that ran a generator must also close it: the clean-up ends its cursor or its pool.
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def _put(self, item: T | _End) -> bool:
        while not self._stop.is_set():
            try:
                self._ahead.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


@contextmanager
def read_ahead(items: Iterable[T], *, depth: int) -> Iterator[Iterator[T]]:
    """Iterates ``items`` in a thread, at most ``depth`` of them ahead. The reader gets its errors.

    If the block ends early, the thread stops at its next item, and the block waits for it.
    """
    reader = _Reader(items, depth=depth)
    try:
        yield reader.read()
    finally:
        reader.close()


class WriteBehind(Generic[T]):
    """Passes items to ``write`` in a thread, in order, at most ``depth`` of them behind.

    The next :meth:`put`, or the end of the block, raises an error of ``write``; nothing is written after it. If the
    block itself raises, all items that were put are written first: they are predicted, so they are worth keeping.
    """

    def __init__(self, write: Callable[[T], None], *, depth: int) -> None:
        self._write = write
        self._behind: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
        self._error: BaseException | None = None
        target = contextvars.copy_context().run  # as above
        self._thread = threading.Thread(target=target, args=[self._run], name="batchord-writer", daemon=True)

    def __enter__(self) -> "WriteBehind[T]":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._behind.put(_End())
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def put(self, item: T) -> None:
        """Takes one item. Waits while ``depth`` items are behind."""
        if self._error is not None:
            raise self._error
        self._behind.put(item)

    def _run(self) -> None:
        while not isinstance(item := self._behind.get(), _End):
            if self._error is None:
                try:
                    self._write(item)
                except BaseException as error:  # noqa: BLE001 -- raised again in the putter's thread
                    self._error = error
