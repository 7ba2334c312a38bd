"""The changes by hand, and who made them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchord.reports.listing import Listing, listed, number_of

if TYPE_CHECKING:
    from batchord.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class ChangeReport:
    """One change by hand."""

    at: datetime
    #: The command's name.
    action: str
    pipeline: str | None
    run_id: str | None
    #: User and ``host`` are what the asking process says. They prove nothing.
    user: str | None
    host: str | None
    way: str
    detail: Mapping[str, Any]

    @property
    def detail_text(self) -> str:
        """The details for people: each name with its value."""
        return ", ".join(
            f"{name} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for name, value in self.detail.items()
        )


def newest_changes(
    ledger: "Ledger", *, pipeline: str | None = None, run_id: str | None = None, limit: int
) -> list[ChangeReport]:
    """The newest changes, the newest first."""
    return [ChangeReport(**row) for row in ledger.reports.history(pipeline=pipeline, run_id=run_id, limit=limit)]


def changes_before(
    ledger: "Ledger",
    *,
    pipeline: str | None = None,
    run_id: str | None = None,
    user: str | None = None,
    before: str | None = None,
    size: int,
) -> Listing[ChangeReport]:
    """A page of the changes, the newest first. ``before``: the mark with which the page before it ended."""
    rows = ledger.lists.history(pipeline=pipeline, run_id=run_id, user=user, before=number_of(before), limit=size + 1)
    return listed(
        rows,
        size=size,
        entry=lambda row: ChangeReport(**{name: value for name, value in row.items() if name != "id"}),
        mark=lambda row: str(row["id"]),
    )
