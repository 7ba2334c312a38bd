"""How tests wait: for something to become true, never for a time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], *, description: str, timeout: float = 30.0, interval: float = 0.05) -> T:
    """The first truthy value of ``predicate``, asked every ``interval`` seconds and at least once.

    Raises AssertionError that names the description and the last value when ``timeout`` seconds have passed.
    Whatever the predicate raises is raised at once: catch inside it what is part of waiting.
    """
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"After {timeout:g} s still not so: {description} (last value: {value!r})")
        time.sleep(interval)
    return value
