"""Records that cannot be predicted, and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchord.ledger import Ledger


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
