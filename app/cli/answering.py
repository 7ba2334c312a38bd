"""The workers that answer, for ``batchord top``."""

import threading
from collections.abc import Callable, Sequence

from batchord.core.errors import BatchordError
from batchord.reports.queue_board import WorkerReport

#: How long workers may take to answer, and the seconds between two questions.
_ANSWER_SECONDS, _EVERY = 1.0, 5.0


def ask_workers() -> Sequence[WorkerReport]:
    """The workers that answer within a second, by name.

    Raises BatchordError, OSError, or an error of Redis or Kombu. While Redis is away, it may wait without end.
    """
    from ..celery import app

    # The first question always waits for its whole time-out. Then it is known how many answer.
    stats = app.control.inspect(timeout=_ANSWER_SECONDS).stats() or {}
    if not stats:
        return []
    others = app.control.inspect(destination=sorted(stats), timeout=_ANSWER_SECONDS, limit=len(stats))
    tasks, queues = others.active() or {}, others.active_queues() or {}
    return [
        WorkerReport(
            name=name,
            queues=[queue["name"] for queue in queues.get(name) or ()],
            processes=int((of.get("pool") or {}).get("max-concurrency") or 0),
            tasks=len(tasks[name]) if name in tasks else None,
        )
        for name, of in sorted(stats.items())
    ]


class AnsweringWorkers:
    """Asks again and again in a thread of its own: a frame waits for no worker, and for no Redis that is away."""

    def __init__(self, ask: Callable[[], Sequence[WorkerReport]] = ask_workers, *, every: float = _EVERY) -> None:
        self._ask = ask
        self._every = every
        self._newest: Sequence[WorkerReport] | None = None
        self._answered = threading.Event()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._work, name="answering-workers", daemon=True)

    def start(self) -> None:
        """Begins to ask. It loads Celery first: while one thread loads Celery or Kombu, no other can import from it."""
        from .. import celery  # noqa: F401

        self._thread.start()

    def stop(self) -> None:
        """Asks no more. It does not wait for a question that is open."""
        self._left.set()

    def newest(self, *, wait: float = 0.0) -> Sequence[WorkerReport] | None:
        """The newest answer; None without :meth:`start`, before the first answer, or if the last question failed.

        ``wait``: the most seconds to wait for the first answer.
        """
        if self._thread.is_alive():
            self._answered.wait(wait)
        return self._newest

    def _work(self) -> None:
        from kombu.exceptions import KombuError
        from redis.exceptions import RedisError

        while not self._left.is_set():
            try:
                self._newest = self._ask()
            except (BatchordError, KombuError, RedisError, OSError):  # the queues, which it reads as well, say why
                self._newest = None
            self._answered.set()
            self._left.wait(self._every)
