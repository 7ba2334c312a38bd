"""The newest runs, and the progress of a run."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from batchord.core.run.runs import Run, RunState
from batchord.core.run.times import seconds_between

if TYPE_CHECKING:
    from batchord.ledger import Ledger


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

    @classmethod
    def of(cls, run: Run) -> Self:
        """The report of a run."""
        return cls(
            id=run.id,
            pipeline=run.pipeline,
            kind=run.kind,
            trigger=run.trigger,
            slot=run.slot,
            state=run.state,
            discovered=run.discovered,
            predicted=run.predicted,
            rejected=run.rejected,
            created_at=run.created_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
        )

    @property
    def pending(self) -> int:
        """Records of the run with neither a prediction nor a rejection."""
        return self.discovered - self.predicted - self.rejected

    @property
    def seconds(self) -> float | None:
        """Seconds from start to finish; None while it is not over."""
        return seconds_between(self.started_at, self.finished_at)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a run that is at work."""

    discovered: int
    #: Records with a prediction or a rejection.
    accounted: int


def newest_runs(
    ledger: "Ledger", *, pipeline: str | None = None, state: str | None = None, limit: int
) -> list[RunReport]:
    """The newest runs, the newest first."""
    return [RunReport.of(run) for run in ledger.reports.runs(pipeline=pipeline, state=state, limit=limit)]


def progress(ledger: "Ledger", run_id: str) -> Progress:
    """The progress of the run."""
    now = ledger.reports.progress(run_id)
    return Progress(discovered=now["discovered"], accounted=now["predicted"] + now["rejected"])
