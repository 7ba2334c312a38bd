"""The queues: what waits, who takes it, and what has ended."""

import time
from typing import Any

from batchord.reports.queue_board import WorkerReport, queue_board
from batchord.wiring import ledger, queue_depths

from ...configuration import QUEUES
from .page import Page

#: Seconds after which Flower's knowledge of the workers is old.
_OLD = 10.0


class QueuesPage(Page):
    """All queues, one line each."""

    template, tab = "queues", "queues"

    def prepare(self) -> None:
        """Takes what Flower knows of the workers. Only Flower's own thread may read it."""
        super().prepare()
        self._workers = workers_of(self.application)
        if self.current_user and is_old(self.application):
            self.application.update_workers()  # in other threads; the page's next look shows it

    def content(self) -> dict[str, Any]:
        """The board."""
        board = queue_board(ledger(), queue_depths, self._workers, standard=QUEUES)
        return {"board": board, "at_work": board.at_work, "known_workers": self._workers}


def workers_of(flower: Any) -> list[WorkerReport]:
    """The workers whose heartbeat Flower hears, and the queues that they have named."""
    alive = {name for name, worker in flower.events.state.workers.items() if worker.alive}
    reports = []
    for name, known in sorted(flower.workers.items()):
        if name not in alive:
            continue
        pool = (known.get("stats") or {}).get("pool") or {}
        queues = [queue["name"] for queue in known.get("active_queues") or ()]
        reports.append(WorkerReport(name=name, queues=queues, processes=int(pool.get("max-concurrency") or 0)))
    return reports


def is_old(flower: Any) -> bool:
    """Whether Flower should ask the workers again."""
    newest = max((known.get("timestamp", 0.0) for known in flower.workers.values()), default=0.0)
    return time.time() - newest > _OLD
