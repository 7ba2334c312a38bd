"""How many records each Predict step of a run has.

Two steps of a pipeline may predict the same records, or records of different sources. So nobody may add their counts up
and call the sum a number of records: each count belongs to its step.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchord.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class StepCounts:
    """The records of one Predict step in a run."""

    step: str
    discovered: int
    predicted: int
    rejected: int

    @property
    def accounted(self) -> int:
        """Records with a prediction or a rejection."""
        return self.predicted + self.rejected

    @property
    def pending(self) -> int:
        """Records with neither a prediction nor a rejection."""
        return self.discovered - self.accounted


def counts_of(ledger: "Ledger", run_ids: Iterable[str]) -> dict[str, Sequence[StepCounts]]:
    """The counts of each run's Predict steps as they are now, in the pipeline's order."""
    counts: dict[str, list[StepCounts]] = {run_id: [] for run_id in run_ids}
    for row in ledger.reports.counts(list(counts)):
        counts[row.pop("run_id")].append(StepCounts(**row))
    return dict(counts)


def counts_in(summary: Mapping[str, Any] | None) -> Sequence[StepCounts]:
    """The counts of the Predict steps in the summary of an ended run."""
    steps = {step: of for step, of in (summary or {}).get("steps", {}).items() if of}
    names = ("discovered", "predicted", "rejected")
    return [StepCounts(step=step, **{name: of[name] for name in names}) for step, of in steps.items()]


def in_steps(values: Sequence[int]) -> str:
    """One number for each step as text: ``2 x 100`` for two steps with 100 records each, otherwise ``100 + 60``."""
    if len(values) > 1 and len(set(values)) == 1:
        return f"{len(values)} x {values[0]:,}"
    return " + ".join(f"{value:,}" for value in values)
