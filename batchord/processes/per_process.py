"""A value that belongs to one process: built when first asked for, and built again after a fork."""

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Calls ``build`` at most once in each process, from whichever thread asks first.

    A forked child starts anew: connections, thread pools and locks of its parent do not work there.
    """

    _lock: threading.Lock
    #: Empty until built; a list, since None may be a value.
    _built: list[T]

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        #: Values of the processes before the fork: letting them go would close sockets that are theirs.
        self._inherited: list[T] = []
        self._built = []
        self.forget()
        _LIVING.add(self)

    def __call__(self) -> T:
        """This process's value. Raises what ``build`` raises, and then builds again at the next call."""
        with self._lock:
            if not self._built:
                self._built.append(self._build())
            return self._built[0]

    def take(self) -> T | None:
        """This process's value, which the next call builds anew; None if it was not built."""
        with self._lock:
            return self._built.pop() if self._built else None

    def forget(self) -> None:
        """Lets the next call build anew; for a process that has one thread only, as after a fork."""
        self._lock = threading.Lock()
        self._inherited += self._built
        self._built = []


_LIVING: "WeakSet[PerProcess[Any]]" = WeakSet()


def _after_fork() -> None:
    for value in list(_LIVING):
        value.forget()


# Comparing process ids at each call was rejected: two threads of a new child may both find a difference.
os.register_at_fork(after_in_child=_after_fork)
