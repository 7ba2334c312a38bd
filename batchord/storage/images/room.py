"""How much memory this process takes for pictures at once."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BatchFull(Exception):
    """The pictures of a batch have all the bytes that they may have together: this one is for the next."""


class Room:
    """Bytes that decoding takes, in all threads together. What needs more than there is has it to itself.

    At most ``at_once`` have a part of it: more of them than processors take memory, and save no time.
    """

    def __init__(self, most: int, *, at_once: int | None = None) -> None:
        self._most = most
        self._at_once = at_once or max(2, os.cpu_count() or 1)
        self._taken = 0
        self._users = 0
        self._freed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Waits until there are ``size`` bytes, or all of them, and has them for the block."""
        with self._freed:
            self._freed.wait_for(lambda: self._has(size))
            self._taken += size
            self._users += 1
        try:
            yield
        finally:
            with self._freed:
                self._taken -= size
                self._users -= 1
                self._freed.notify_all()

    def _has(self, size: int) -> bool:
        return not self._users or (self._users < self._at_once and self._taken + size <= self._most)


class Batch:
    """Bytes of the decoded pictures that a model is given together. One picture may have more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._admitted = 0
        self._lock = threading.Lock()
        #: Set when there is no place for another picture.
        self.full = threading.Event()

    def admit(self, size: int) -> None:
        """Takes a picture of ``size`` bytes in. Raises BatchFull when it is for the next batch."""
        with self._lock:
            if self._admitted and self._admitted + size > self._most:
                self.full.set()
                raise BatchFull
            self._admitted += size
