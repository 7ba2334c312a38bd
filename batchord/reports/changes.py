"""The changes by hand, and who made them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchord.core.run.run_ids import is_whole_id
from batchord.reports.listing import Listing, listed, number_of

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: Where a run works that a person started, by its trigger. All of these changes are by hand.
_WHERE = {"cli": "on workers", "local": "with --local", "call": "on workers, by a program"}
#: Details with several texts.
_LISTS = frozenset({"keys", "steps"})


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
    def repeats(self) -> str | None:
        """The run that a rerun repeats; None for any other change."""
        repeated = self.detail.get("of")
        return repeated if isinstance(repeated, str) and is_whole_id(repeated) else None

    def detail_text(self, ids: Mapping[str, str]) -> str:
        """The details for people. ``ids``: how people write the ids of runs."""
        return ", ".join(self._said(name, value, ids) for name, value in self.detail.items())

    def _said(self, name: str, value: Any, ids: Mapping[str, str]) -> str:
        if name == "trigger" and isinstance(value, str) and value in _WHERE:
            return _WHERE[value]
        if self.action == "rerun" and name == "of":
            return f"of run {ids.get(value, value)}"
        if self.action == "rerun" and name == "failed":
            return "the failed steps"
        if name in _LISTS and isinstance(value, list):
            return f"{name} {', '.join(map(str, value))}"
        return f"{name} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


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
