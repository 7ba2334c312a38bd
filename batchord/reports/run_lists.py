"""Lists of runs by page, and the newest runs of several pipelines side by side in time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from batchord.core.errors import ConfigurationError
from batchord.core.run.run_ids import is_whole_id
from batchord.core.run.run_lists import RunFilter, RunPlace
from batchord.core.run.runs import RunState
from batchord.core.run.times import seconds_between
from batchord.reports.counts import counts_of
from batchord.reports.run_names import short_ids
from batchord.reports.runs import RunReport

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: The newest runs of each pipeline in a grid, the most pipelines, and the most columns.
_RUNS, _PIPELINES, _COLUMNS = 40, 60, 120
#: Lengths of the columns of a grid. The shortest that gives few columns is taken.
_LENGTHS = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 1_440, 10_080, 40_320, 525_600)
)  # fmt: skip
#: A grid has at most this many times, if its runs fit.
_TIMES = 40
#: The most characters of an error in a list.
_MOST_ERROR = 160


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """A run in a list."""

    run: RunReport
    #: The shortest beginning of its id that no other run has.
    short: str
    #: The first line of its error, cut.
    error: str | None


@dataclass(frozen=True, kw_only=True)
class RunPage:
    """One page of a list of runs."""

    #: The newest first.
    runs: Sequence[ListedRun]
    #: What :func:`runs_page` takes to give the page with the runs before these; None: there are none.
    older: str | None


@dataclass(frozen=True, kw_only=True)
class RunCell:
    """A run in a grid."""

    id: str
    pipeline: str
    state: RunState
    trigger: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    predicted: int
    rejected: int

    @property
    def seconds(self) -> float | None:
        """Seconds from start to finish; None while it is not over."""
        return seconds_between(self.started_at, self.finished_at)


@dataclass(frozen=True, kw_only=True)
class RunGrid:
    """Runs by pipeline and time. Runs of about the same time stand below each other."""

    #: The beginning of each column's time, in order. Columns of the same time stand next to each other.
    times: Sequence[datetime]
    #: Of each pipeline, in the order of names, a run or None for each column.
    rows: Sequence[tuple[str, Sequence[RunCell | None]]]


@dataclass(frozen=True, kw_only=True)
class FilterValues:
    """What a person can choose in a filter."""

    pipelines: Sequence[str]
    triggers: Sequence[str]


def filter_values(ledger: "Ledger") -> FilterValues:
    """The pipelines and the triggers of all runs."""
    return FilterValues(pipelines=ledger.run_lists.pipelines(), triggers=ledger.run_lists.triggers())


def runs_page(ledger: "Ledger", wanted: RunFilter, *, before: str | None = None, limit: int) -> RunPage:
    """The newest runs; with ``before``, those before an earlier page's :attr:`RunPage.older`.

    Raises ConfigurationError if ``before`` is no such text.
    """
    place = None if before is None else _place(before)
    runs = ledger.run_lists.newest(wanted, limit=limit + 1, before=place)
    shown = runs[:limit]
    ids = short_ids(ledger, [run.id for run in shown])
    counts = counts_of(ledger, [run.id for run in shown if not run.state.ended])
    last = shown[-1] if len(runs) > limit else None
    return RunPage(
        runs=[
            ListedRun(run=RunReport.of(run, counts.get(run.id, ())), short=ids[run.id], error=_short(run.error))
            for run in shown
        ],
        older=None if last is None else f"{last.created_at.astimezone(UTC).isoformat()}_{last.id}",
    )


def run_grid(ledger: "Ledger", wanted: RunFilter, pipelines: Sequence[str]) -> RunGrid:
    """The newest runs of the pipelines that the filter allows. At most 40 of each, of the first 60 pipelines."""
    names = [name for name in pipelines if wanted.pipeline in (None, name)][:_PIPELINES]
    rows = ledger.run_lists.newest_of_each(wanted, names, each=_RUNS)
    return grid_of([_cell(row) for row in rows])


def grid_of(cells: Sequence[RunCell]) -> RunGrid:
    """The grid of these runs, which are in the order of time."""
    length = next((each for each in _LENGTHS if len({_time(cell, each) for cell in cells}) <= _TIMES), _LENGTHS[-1])
    by_time: dict[datetime, dict[str, list[RunCell]]] = {}
    for cell in cells:
        by_time.setdefault(_time(cell, length), {}).setdefault(cell.pipeline, []).append(cell)
    names = sorted({cell.pipeline for cell in cells})
    times: list[datetime] = []
    columns: dict[str, list[RunCell | None]] = {name: [] for name in names}
    for time, runs in by_time.items():
        width = max(len(each) for each in runs.values())
        times += [time] * width
        for name in names:
            own = runs.get(name, [])
            columns[name] += [*own, *[None] * (width - len(own))]
    rows = [(name, row[-_COLUMNS:]) for name, row in columns.items()]
    return RunGrid(times=times[-_COLUMNS:], rows=[(name, row) for name, row in rows if any(row)])


def _time(cell: RunCell, length: timedelta) -> datetime:
    beginning = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday
    return beginning + (cell.created_at - beginning) // length * length


def _cell(row: Mapping[str, Any]) -> RunCell:
    return RunCell(**{**row, "state": RunState(row["state"])})


def _place(text: str) -> RunPlace:
    time, _, run_id = text.partition("_")
    try:
        created_at = datetime.fromisoformat(time)
    except ValueError:
        created_at = None
    if created_at is None or created_at.tzinfo is None or not is_whole_id(run_id):
        raise ConfigurationError("The address of this page was cut. Begin with the newest runs.")
    return RunPlace(created_at, run_id)


def _short(error: str | None) -> str | None:
    if not error:
        return None
    first = next(iter(_lines(error)), "")
    return first if len(first) <= _MOST_ERROR else f"{first[: _MOST_ERROR - 1]}…"


def _lines(text: str) -> Iterable[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
