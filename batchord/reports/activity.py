"""What goes on now: the pipelines with their open runs, the queues, and what each worker does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from batchord.catalog import Loaded
from batchord.core.errors import BatchordError
from batchord.processes.local_names import plain_name
from batchord.reports.board import BoardLine, board
from batchord.reports.progress import StepProgress, progress_of
from batchord.reports.queue_board import WorkerReport
from batchord.reports.queues import queues_now
from batchord.reports.runs import RunReport

if TYPE_CHECKING:
    from batchord.ledger import Ledger
    from batchord.queue.depths import QueueDepth, QueueDepths

#: The most rows of work.
_MOST = 200


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one worker does."""

    pipeline: str
    run_id: str
    step: str
    #: None: the step as a whole is executed, or planned.
    shard: int | None
    attempt: int
    worker: str
    #: Since this attempt began.
    seconds: float

    @property
    def worker_name(self) -> str:
        """The worker for people: its host and its pid."""
        return plain_name(self.worker)


@dataclass(frozen=True, kw_only=True)
class PipelineActivity:
    """A pipeline and how far its open runs are."""

    line: BoardLine
    #: The run at work, or else the oldest one that waits; None if none is open.
    run: RunReport | None = None
    #: That of the run's Predict steps.
    progress: Sequence[StepProgress] = ()

    @property
    def state(self) -> str:
        """The open run's state, or ``paused``, or how the last run ended; empty without any run."""
        if self.run is not None:
            return self.run.state
        if self.line.pipeline.paused_at is not None:
            return "paused"
        return "" if self.line.last is None else self.line.last.state

    @property
    def part(self) -> float | None:
        """How much of the open run's records is accounted for, from 0 to 1; None if that is not known yet."""
        whole = sum(each.discovered for each in self.progress)
        return sum(each.accounted for each in self.progress) / whole if whole else None

    @property
    def pending(self) -> int:
        """Records that the open run, or else the last one, found and that have no outcome yet."""
        return sum(each.pending for each in self.progress) if self.progress else self.line.pending

    @property
    def records_per_second(self) -> float | None:
        """Of the open run so far, or else the usual rate; None if too little was measured."""
        if self.run is None:
            return self.line.usual_rate
        rates = [each.records_per_second for each in self.progress if each.is_at_work]
        return sum(rate for rate in rates if rate) or None

    @property
    def seconds_left(self) -> float | None:
        """An estimate for the steps that are at work; None if it is unknown."""
        return max((each.seconds_left for each in self.progress if each.seconds_left is not None), default=None)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """All that goes on."""

    #: Those with an open run first, then by name.
    pipelines: Sequence[PipelineActivity]
    #: The longest first.
    work: Sequence[Work]
    #: How many more there are.
    more_work: int
    #: None: nobody knows them, see :attr:`unread_because`.
    queues: Sequence["QueueDepth"] | None
    #: The number of problems in the files.
    problems: int
    #: The workers that answer, idle ones too; None: nobody knows them.
    answering: Sequence[WorkerReport] | None = None
    #: Why the runs are unknown, and why the queues are; None: they are known.
    unknown_because: str | None = None
    unread_because: str | None = None

    @property
    def workers(self) -> Mapping[str, int]:
        """The workers that do something, each with how many things it does."""
        names = [each.worker_name for each in self.work]
        return {name: names.count(name) for name in sorted(set(names))}

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return {
            "pipelines": [
                {
                    "pipeline": each.line.pipeline.name,
                    "state": each.state,
                    "run": None if each.run is None else each.run.id,
                    "part": each.part,
                    "records_per_second": each.records_per_second,
                    "seconds_left": each.seconds_left,
                    "pending": each.pending,
                    "oldest_pending_seconds": each.line.oldest_pending,
                    "alerts": each.line.alerts,
                    "next": each.line.pipeline.next,
                }
                for each in self.pipelines
            ],
            "work": [asdict(each) for each in self.work],
            "more_work": self.more_work,
            "queues": None if self.queues is None else [asdict(each) for each in self.queues],
            "workers": None if self.answering is None else [asdict(each) for each in self.answering],
            "problems": self.problems,
            "unknown_because": self.unknown_because,
            "unread_because": self.unread_because,
        }


def activity(
    loaded: Loaded,
    open_ledger: Callable[[], "Ledger"],
    open_depths: Callable[[], "QueueDepths | None"],
    *,
    standard_queues: Sequence[str],
) -> Activity:
    """What goes on now, as far as the servers answer. It asks no worker."""
    shown = board(loaded, open_ledger)
    pipelines = [PipelineActivity(line=line) for line in shown.lines]
    work: list[dict[str, Any]] = []
    own_queues: Sequence[str] = ()
    if shown.unknown_because is None:
        ledger = open_ledger()
        pipelines = [_pipeline(ledger, line) for line in shown.lines]
        work, own_queues = ledger.overview.at_work(limit=_MOST), ledger.metrics.queues()
    queues, unread = _queues(open_depths, standard_queues, own_queues)
    total = work[0]["total"] if work else 0
    return Activity(
        pipelines=sorted(pipelines, key=lambda each: (each.run is None, each.line.pipeline.name)),
        work=[Work(**{name: value for name, value in row.items() if name != "total"}) for row in work],
        more_work=total - len(work),
        queues=queues,
        problems=len(shown.problems),
        unknown_because=shown.unknown_because,
        unread_because=unread,
    )


def _pipeline(ledger: "Ledger", line: BoardLine) -> PipelineActivity:
    started = [run for run in line.open if run.started_at is not None]
    run = next(iter(started or line.open), None)
    progress = () if run is None else [each for each in progress_of(ledger, run.id) if not each.reused]
    return PipelineActivity(line=line, run=run, progress=progress)


def _queues(
    open_depths: Callable[[], "QueueDepths | None"], standard: Sequence[str], others: Sequence[str]
) -> tuple[Sequence["QueueDepth"] | None, str | None]:
    try:
        depths = open_depths()
        if depths is None:
            return None, "BATCHORD_REDIS_URL is not set."
        return queues_now(depths, standard=standard, others=others), None
    except BatchordError as error:
        return None, str(error)
