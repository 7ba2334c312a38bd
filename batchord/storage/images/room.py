"""Limits the memory that this process uses for pictures at the same time."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BatchFull(Exception):
    """The pictures of a batch have used up their bytes. This picture belongs to the next batch."""


class Room:
    """The bytes that all threads together may use for decoding. A picture that needs more is decoded alone.

    At most ``at_once`` threads use it: more threads than processors take memory and save no time.
    """

    def __init__(self, most: int, *, at_once: int | None = None) -> None:
        self._most = most
        self._at_once = at_once or max(2, os.cpu_count() or 1)
        self._taken = 0
        self._users = 0
        self._freed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Waits until ``size`` bytes are free, or all of them, and reserves them during the block."""
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
    """The bytes of decoded pictures that a model gets together. A single picture may have more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._admitted = 0
        self._lock = threading.Lock()
        #: Set once there is no room for another picture.
        self.full = threading.Event()

    def admit(self, size: int) -> None:
        """Adds a picture of ``size`` bytes. Raises BatchFull if it belongs to the next batch."""
        with self._lock:
            if self._admitted and self._admitted + size > self._most:
                self.full.set()
                raise BatchFull
            self._admitted += size
