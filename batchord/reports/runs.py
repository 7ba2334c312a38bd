"""The newest runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from batchord.core.run.runs import Run, RunState
from batchord.core.run.times import seconds_between
from batchord.reports.counts import StepCounts, counts_in, counts_of, in_steps

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: Triggers whose text in the ledger is short for what people would say.
TRIGGERS = {"cli": "by hand", "local": "by hand (--local)", "call": "a program", "backlog": "a backlog"}


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A run in one line."""

    id: str
    pipeline: str
    kind: str
    trigger: str
    slot: datetime | None
    state: RunState
    discovered: int
    predicted: int
    rejected: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    #: The counts of each Predict step. The counts above are their sums, so with several steps they count no records.
    counts: Sequence[StepCounts] = ()

    @classmethod
    def of(cls, run: Run, counts: Sequence[StepCounts] = ()) -> Self:
        """The report of a run. ``counts``: those of its Predict steps now, if they are not in its summary yet.

        The ledger adds a step's counts to the run's when the step ends. So the counts of an open run are those of its
        steps.
        """
        totals = counts if counts and not run.state.ended else [run]
        return cls(
            id=run.id,
            pipeline=run.pipeline,
            kind=run.kind,
            trigger=run.trigger,
            slot=run.slot,
            state=run.state,
            discovered=sum(each.discovered for each in totals),
            predicted=sum(each.predicted for each in totals),
            rejected=sum(each.rejected for each in totals),
            created_at=run.created_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
            counts=counts or counts_in(run.summary),
        )

    @property
    def pending(self) -> int:
        """Records of the run with neither a prediction nor a rejection."""
        return self.discovered - self.predicted - self.rejected

    @property
    def started_by(self) -> str:
        """What started it, for people: the text of the trigger, or other words for it."""
        return TRIGGERS.get(self.trigger, self.trigger)

    @property
    def seconds(self) -> float | None:
        """Seconds from start to finish; None while it is not over."""
        return seconds_between(self.started_at, self.finished_at)


def newest_runs(
    ledger: "Ledger", *, pipeline: str | None = None, state: str | None = None, limit: int
) -> list[RunReport]:
    """The newest runs, the newest first."""
    runs = ledger.reports.runs(pipeline=pipeline, state=state, limit=limit)
    counts = counts_of(ledger, [run.id for run in runs])
    return [RunReport.of(run, counts[run.id]) for run in runs]


def in_cell(run: RunReport, name: Literal["discovered", "predicted", "rejected"]) -> int | str:
    """A count of the run. If it has several Predict steps, the counts of each."""
    if len(run.counts) > 1:
        return in_steps([getattr(each, name) for each in run.counts])
    count: int = getattr(run, name)
    return count
