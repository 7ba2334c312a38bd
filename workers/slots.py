"""Limits how many threads of a control worker may read sources at the same time.

A source that hangs blocks its thread until its time limit. The other threads are free for ticks, summaries and sweeps,
which read only the ledger.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Task, signals
from celery.concurrency import get_implementation
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.exceptions import Retry

#: The share of a worker's threads that may read sources.
_SHARE = 0.75
#: Seconds until a task that got no slot is tried again. The wait is random, so that not all come back together.
_LEAST_WAIT, _MOST_WAIT = 1.0, 3.0

_slots: list[threading.BoundedSemaphore] = []


def slots_for(threads: int) -> int:
    """How many of ``threads`` threads may read sources. If there are two or more, one always stays free."""
    return max(1, min(threads - 1, int(threads * _SHARE)))


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def count_threads(sender: Any = None, **_: Any) -> None:
    """Creates the slots. A pool of processes needs none: each process has one task at a time."""
    threads = 0 if issubclass(get_implementation(sender.pool_cls), PreforkPool) else int(sender.concurrency or 0)
    _slots[:] = [threading.BoundedSemaphore(slots_for(threads))] if threads else []


@contextmanager
def reading_slot(task: Task) -> Iterator[None]:
    """Holds a slot. If all are taken, it sends the task's message again for later and raises Retry."""
    with free_slot() as is_free:
        if not is_free:
            wait = random.uniform(_LEAST_WAIT, _MOST_WAIT)  # noqa: S311 -- spreads load, guards nothing
            # Not task.retry(): it counts attempts, and waits longer each time.
            task.signature_from_request(countdown=wait, retries=task.request.retries).apply_async()
            raise Retry("other tasks read sources", when=wait)
        yield


@contextmanager
def free_slot() -> Iterator[bool]:
    """Holds a slot, if one is free; gives whether the block may read sources."""
    if not _slots:
        yield True
        return
    (slots,) = _slots
    is_free = slots.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            slots.release()
