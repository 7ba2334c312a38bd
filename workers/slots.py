"""How many of a control worker's threads may read sources at once.

A source that hangs holds its thread until its time limit. The other threads are left to ticks, summaries and sweeps,
which read the ledger alone.
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

#: Of a worker's threads.
_SHARE = 0.75
#: Seconds until a task that found no slot is tried again; some of them by chance, so that not all come together.
_LEAST_WAIT, _MOST_WAIT = 1.0, 3.0

_slots: list[threading.BoundedSemaphore] = []


def slots_for(threads: int) -> int:
    """How many of so many threads may read sources: one is always left, if there are two."""
    return max(1, min(threads - 1, int(threads * _SHARE)))


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def count_threads(sender: Any = None, **_: Any) -> None:
    """A pool of processes needs no slots: each of them has one task at a time."""
    threads = 0 if issubclass(get_implementation(sender.pool_cls), PreforkPool) else int(sender.concurrency or 0)
    _slots[:] = [threading.BoundedSemaphore(slots_for(threads))] if threads else []


@contextmanager
def reading_slot(task: Task) -> Iterator[None]:
    """Holds a slot; when all are taken, sends the task's message again for later and raises Retry."""
    if not _slots:
        yield
        return
    (slots,) = _slots
    if not slots.acquire(blocking=False):
        wait = random.uniform(_LEAST_WAIT, _MOST_WAIT)  # noqa: S311 -- spreads load, guards nothing
        # Not by task.retry(): those are counted, and waited for longer each time.
        task.signature_from_request(countdown=wait, retries=task.request.retries).apply_async()
        raise Retry("other tasks read sources", when=wait)
    try:
        yield
    finally:
        slots.release()
