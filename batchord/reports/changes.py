"""What was changed by hand, and by whom."""

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
    #: As the asking process says, which proves nothing; so is ``host``.
    user: str | None
    host: str | None
    way: str
    detail: Mapping[str, Any]

    @property
    def detail_text(self) -> str:
        """The detail for people: each name and its value."""
        return ", ".join(
            f"{name} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for name, value in self.detail.items()
        )


def newest_changes(
    ledger: "Ledger", *, pipeline: str | None = None, run_id: str | None = None, limit: int
) -> list[ChangeReport]:
    """The newest changes first."""
    return [ChangeReport(**row) for row in ledger.reports.history(pipeline=pipeline, run_id=run_id, limit=limit)]
