"""How far the Predict steps of a run are, in records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from batchord.core.run.runs import StepState
from batchord.core.run.summary import rate
from batchord.core.run.times import seconds_between
from batchord.core.text.counts import counted

if TYPE_CHECKING:
    from batchord.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class StepProgress:
    """A Predict step's records and shards so far."""

    step: str
    state: str
    #: Whether its end is from an earlier run.
    reused: bool
    #: Shards, without those that were split; and how many of them are in each state.
    shards: int
    done: int
    running: int
    waiting: int
    failed: int
    #: Shards that were split into smaller ones.
    split: int
    discovered: int
    predicted: int
    rejected: int
    #: When the first shard began; and the last one's end, or now while the step runs.
    began_at: datetime | None
    until: datetime | None
    #: Seconds of each phase, summed over the workers of ended shards.
    seconds: Mapping[str, float]

    @property
    def accounted(self) -> int:
        """Records with a prediction or a rejection."""
        return self.predicted + self.rejected

    @property
    def pending(self) -> int:
        """Records with neither."""
        return max(0, self.discovered - self.accounted)

    @property
    def part(self) -> float:
        """How much of its records is accounted for, from 0 to 1."""
        return min(1.0, self.accounted / self.discovered) if self.discovered else 0.0

    @property
    def is_at_work(self) -> bool:
        """Whether its shards are being predicted."""
        return self.state == StepState.RUNNING

    @property
    def records_per_second(self) -> float | None:
        """Since its first shard began; None if too little was measured."""
        return rate(self.accounted, seconds_between(self.began_at, self.until))

    @property
    def seconds_left(self) -> float | None:
        """An estimate of the remaining time, if it goes on as fast as so far; None if it does not run or is unknown."""
        speed = self.records_per_second
        return self.pending / speed if self.is_at_work and speed else None

    @property
    def sentence(self) -> str:
        """The same in one sentence, for people."""
        fast, left = self.records_per_second, self.seconds_left
        speed = "" if fast is None else f", {fast:,.0f} records/s"
        time = "" if left is None else f", about {timedelta(seconds=round(left))} left"
        return f"Step {self.step} has done {self.accounted:,} of {counted(self.discovered, 'record')}{speed}{time}."


def progress_of(ledger: "Ledger", run_id: str) -> Sequence[StepProgress]:
    """The progress of each Predict step, in the pipeline's order."""
    return [_progress(row) for row in ledger.run_details.progress(run_id)]


def _progress(row: Mapping[str, Any]) -> StepProgress:
    same = ("step", "state", "reused", "shards", "done", "running", "waiting", "failed", "split", "began_at")
    return StepProgress(
        **{name: row[name] for name in same},
        discovered=row["discovered"],
        predicted=row["predicted"],
        rejected=row["rejected"],
        until=row["now"] if row["state"] == StepState.RUNNING else row["finished_at"],
        seconds={phase: row[phase] for phase in ("fetch", "predict", "write")},
    )
