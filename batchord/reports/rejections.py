"""Records that cannot be predicted, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchord.core.errors import ConfigurationError
from batchord.core.run.run_lists import RejectionFilter
from batchord.core.text.counts import counted
from batchord.reports.listing import Listing, listed

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: Up to this number the rejections of a group are counted.
MOST_COUNTED = 10_000


@dataclass(frozen=True, kw_only=True)
class RejectionReport:
    """One rejected record."""

    pipeline: str
    step: str
    #: The record's key as the ledger writes it.
    key: str
    reason: str
    #: A sentence for people.
    detail: str
    attempts: int
    model_version: str
    run_id: str
    rejected_at: datetime


def newest_rejections(
    ledger: "Ledger",
    *,
    pipeline: str | None = None,
    step: str | None = None,
    reason: str | None = None,
    run_id: str | None = None,
    limit: int,
) -> list[RejectionReport]:
    """The newest rejections, the newest first."""
    rows = ledger.reports.rejections(pipeline=pipeline, step=step, reason=reason, run_id=run_id, limit=limit)
    return [RejectionReport(**{**row, "run_id": str(row["run_id"])}) for row in rows]


@dataclass(frozen=True, kw_only=True)
class RejectionCount:
    """How many records a step of a pipeline has rejected for a reason."""

    pipeline: str
    step: str
    reason: str
    #: At most :data:`MOST_COUNTED`.
    count: int

    @property
    def is_more(self) -> bool:
        """Whether there are more than are counted."""
        return self.count >= MOST_COUNTED


def rejection_counts(ledger: "Ledger", of: RejectionFilter) -> Sequence[RejectionCount]:
    """The groups of the rejections that the filter leaves, the largest first."""
    return [RejectionCount(**row) for row in ledger.lists.rejection_counts(of, most=MOST_COUNTED)]


def retry_in_words(count: int, *, short_id: str | None) -> str:
    """What a retry did, for people. ``short_id``: the run that predicts the records again; None: there is none."""
    if short_id is None:
        return "No rejection matches. Nothing was changed."
    return f"Run {short_id} predicts the records of {counted(count, 'rejection')} again."


def rejections_before(
    ledger: "Ledger", of: RejectionFilter, *, before: str | None, size: int
) -> Listing[RejectionReport]:
    """A page of the rejections that the filter leaves. ``before``: the mark with which the page before it ended.

    Raises ConfigurationError for a mark that no page has.
    """
    rows = ledger.lists.rejections(of, before=None if before is None else _place(before), limit=size + 1)
    return listed(rows, size=size, entry=_report, mark=_mark)


def _report(row: dict[str, Any]) -> RejectionReport:
    return RejectionReport(**{name: value for name, value in row.items() if name != "mark"})


def _mark(row: dict[str, Any]) -> str:
    return f"{row['rejected_at'].isoformat()}~{row['mark']}"


def _place(mark: str) -> tuple[datetime, str]:
    moment, _, rest = mark.partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not rest.isalnum():
        raise ConfigurationError("The address names no place in the list. Begin with the newest rejections.")
    return at, rest
