"""Results that a person lets the ledger forget, so that the next run predicts their records again."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class StepResults:
    """The results of a Predict step, over all its runs."""

    step: str
    predictions: int
    rejections: int
    #: When the first and the last of them were written; None if there are none.
    since: datetime | None = None
    until: datetime | None = None
    #: Whether the ledger has a frontier of the step.
    has_frontier: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to forget."""
        return not (self.predictions or self.rejections or self.has_frontier)
