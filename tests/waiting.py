"""Lets tests wait until something becomes true, never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], *, description: str, timeout: float = 30.0, interval: float = 0.05) -> T:
    """The first truthy value of ``predicate``, which is called every ``interval`` seconds and at least once.

    After ``timeout`` seconds it raises AssertionError with the description and the last value. An error of the
    predicate is raised at once: the predicate itself must catch the errors that belong to waiting.
    """
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"After {timeout:g} s still not so: {description} (last value: {value!r})")
        time.sleep(interval)
    return value
