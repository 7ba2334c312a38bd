"""Each queue: what waits in it, who takes from it, and what has ended."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchord.core.errors import BatchordError
from batchord.output.masking import mask
from batchord.reports.queues import queues_now

if TYPE_CHECKING:
    from batchord.ledger import Ledger
    from batchord.queue.depths import QueueDepth, QueueDepths


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """A worker that answers."""

    name: str
    queues: Sequence[str]
    #: How many tasks it executes at once.
    processes: int
    #: Those that it executes now; None: it did not say.
    tasks: int | None = None


@dataclass(frozen=True, kw_only=True)
class QueueLine:
    """One queue."""

    queue: str
    #: What is in it; None: Redis does not tell.
    depth: "QueueDepth | None" = None
    #: Those that take from it.
    workers: Sequence[WorkerReport] = ()
    #: The shards, and the steps that are executed as a whole, that ended in the last 5 minutes, and in the last hour.
    newest: int = 0
    ended: int = 0
    #: Records that got an outcome in the shards of the last hour.
    records: int = 0

    @property
    def processes(self) -> int:
        """How many of its tasks can be executed at once, if its workers do nothing else."""
        return sum(each.processes for each in self.workers)

    @property
    def is_stuck(self) -> bool:
        """Whether messages wait and no worker takes them."""
        return self.depth is not None and self.depth.ready > 0 and not self.workers


@dataclass(frozen=True, kw_only=True)
class QueueBoard:
    """All queues."""

    lines: Sequence[QueueLine]
    #: Why nobody knows what waits; None: it is known.
    unread_because: str | None = None

    @property
    def at_work(self) -> bool:
        """Whether a message waits or is worked on."""
        return any(line.depth is not None and line.depth.ready + line.depth.unacked for line in self.lines)


def queue_board(
    ledger: "Ledger",
    open_depths: "Callable[[], QueueDepths | None]",
    workers: Iterable[WorkerReport],
    *,
    standard: Sequence[str],
) -> QueueBoard:
    """The ``standard`` queues, and those that open steps, workers or ended work name.

    Raises TransientError if the ledger does not answer. If Redis does not, the board says so.
    """
    known = list(workers)
    ended = {row.pop("queue"): row for row in ledger.lists.throughput()}
    others = {*ended, *ledger.metrics.queues(), *(queue for worker in known for queue in worker.queues)}
    names = [*standard, *sorted(others - set(standard))]
    depths: dict[str, QueueDepth] = {}
    unread: str | None = None
    try:
        reader = open_depths()
        if reader is None:
            unread = "BATCHORD_REDIS_URL is not set."
        else:
            depths = {each.queue: each for each in queues_now(reader, standard=names)}
    except BatchordError as error:
        unread = mask(str(error))
    lines = [
        QueueLine(
            queue=name,
            depth=depths.get(name),
            workers=[worker for worker in known if name in worker.queues],
            **ended.get(name, {}),
        )
        for name in names
    ]
    return QueueBoard(lines=lines, unread_because=unread)
