"""The changes by hand, and who made them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

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
