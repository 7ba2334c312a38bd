"""The first page: each pipeline in one line, with its newest runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from batchord.catalog import Loaded, Problem
from batchord.core.run.runs import RunState
from batchord.core.run.summary import rate
from batchord.reports.oldest import oldest_pending_soon
from batchord.reports.pipelines import PipelineReport, pipelines_now
from batchord.reports.runs import RunReport

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: The newest runs that a line shows.
_RUNS = 30


@dataclass(frozen=True, kw_only=True)
class BoardLine:
    """A pipeline as its file declares it, and how its newest runs went."""

    pipeline: PipelineReport
    #: The oldest first, without the counts of their steps.
    runs: Sequence[RunReport] = ()
    #: The model versions of the newest run that planned, by Predict step.
    versions: Sequence[tuple[str, str]] = ()
    #: Alerts of the last 24 hours.
    alerts: int = 0
    #: Seconds since the oldest pending record was discovered; 0 if none is pending; None if that is unknown.
    oldest_pending: float | None = None

    @property
    def open(self) -> Sequence[RunReport]:
        """The runs that are queued or running."""
        return [run for run in self.runs if not run.state.ended]

    @property
    def last(self) -> RunReport | None:
        """The newest run that has ended and was not skipped."""
        ended = (run for run in reversed(self.runs) if run.state.ended and run.state is not RunState.SKIPPED)
        return next(ended, None)

    @property
    def pending(self) -> int:
        """Records that the open runs, or else the last one, found and that have no outcome yet."""
        counted = self.open or ([self.last] if self.last else [])
        return sum(run.pending for run in counted)

    @property
    def rates(self) -> Sequence[float]:
        """Records a second of the runs that were long enough to say, the oldest first."""
        rates = [rate(run.predicted + run.rejected, run.seconds) for run in self.runs if run.seconds]
        return [each for each in rates if each is not None]

    @property
    def usual_rate(self) -> float | None:
        """The median of the rates; None if no run was long enough."""
        return median(self.rates) if self.rates else None


@dataclass(frozen=True, kw_only=True)
class Board:
    """All pipelines, sorted by name."""

    lines: Sequence[BoardLine]
    #: What is wrong in the files.
    problems: Sequence[Problem] = field(default=())
    #: Why the runs are unknown; None: they are known.
    unknown_because: str | None = None

    @property
    def at_work(self) -> bool:
        """Whether a run is queued or running."""
        return any(line.open for line in self.lines)


def board(loaded: Loaded, open_ledger: Callable[[], "Ledger"]) -> Board:
    """Each pipeline of the files with its newest runs, as far as the ledger can be read."""
    catalog = pipelines_now(loaded, open_ledger)
    if catalog.unknown_because is not None:
        lines = [BoardLine(pipeline=each) for each in catalog.pipelines]
        return Board(lines=lines, problems=catalog.problems, unknown_because=catalog.unknown_because)
    ledger, names = open_ledger(), [each.name for each in catalog.pipelines]
    runs, models = ledger.overview.newest_runs(names, each=_RUNS), ledger.overview.newest_models(names, each=_RUNS)
    alerts = ledger.overview.alerts_of_a_day(names)
    ages = oldest_pending_soon(ledger)
    return Board(
        lines=[
            BoardLine(
                pipeline=each,
                runs=[RunReport(**{**row, "state": RunState(row["state"])}) for row in runs[each.name]],
                versions=tuple(models.get(each.name, {}).items()),
                alerts=alerts.get(each.name, 0),
                oldest_pending=ages.get(each.name),
            )
            for each in catalog.pipelines
        ],
        problems=catalog.problems,
    )
