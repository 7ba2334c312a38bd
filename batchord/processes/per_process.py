"""A value that belongs to a single process. It is built on first use, and built again after a fork."""

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Calls ``build`` at most once in each process, in the thread that needs the value first.

    A forked child builds its own value: connections, thread pools and locks of its parent do not work there.
    """

    _lock: threading.Lock
    #: Empty until the value is built. It is a list, since None may be a value.
    _built: list[T]

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        #: Values of the parent process. Kept here, because deleting them would close the parent's sockets.
        self._inherited: list[T] = []
        self._built = []
        self.forget()
        _LIVING.add(self)

    def __call__(self) -> T:
        """The value of this process. Raises what ``build`` raises; then the next call builds again."""
        with self._lock:
            if not self._built:
                self._built.append(self._build())
            return self._built[0]

    def take(self) -> T | None:
        """Removes and returns the value of this process; None if it was not built. The next call builds a new one."""
        with self._lock:
            return self._built.pop() if self._built else None

    def forget(self) -> None:
        """Makes the next call build a new value. Only for a process with a single thread, as after a fork."""
        self._lock = threading.Lock()
        self._inherited += self._built
        self._built = []


_LIVING: "WeakSet[PerProcess[Any]]" = WeakSet()


def _after_fork() -> None:
    for value in list(_LIVING):
        value.forget()


# Comparing process ids at each call was rejected: two threads of a new child could both see a difference and build.
os.register_at_fork(after_in_child=_after_fork)
