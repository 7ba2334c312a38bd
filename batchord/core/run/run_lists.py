"""Which runs and which rejections a list shows."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from batchord.core.run.runs import RunState


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Conditions that all runs of a list meet. None: any."""

    pipeline: str | None = None
    state: RunState | None = None
    #: As the ledger writes it, see :attr:`.runs.NewRun.trigger`.
    trigger: str | None = None
    #: The runs that were created from ``start`` on, and before ``end``.
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RejectionFilter:
    """Which rejections a list has; None: all."""

    pipeline: str | None = None
    step: str | None = None
    reason: str | None = None
    #: A whole id.
    run_id: str | None = None


class RunPlace(NamedTuple):
    """A run's place in the order of all runs. No two runs have the same."""

    created_at: datetime
    run_id: str
