"""Alerts, and whether they were sent."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from batchord.reports.listing import Listing, listed, number_of

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: The beginning of the line of a message that says where to look closer.
_LOOK = "Look closer: "


class Delivery(StrEnum):
    """Whether an alert was sent."""

    SENT = "sent"
    NO_RECEIVERS = "no receivers"
    GIVEN_UP = "given up"
    SENT_AGAIN = "will be sent again"
    WAITS = "waits"


@dataclass(frozen=True, kw_only=True)
class AlertReport:
    """One alert."""

    event: str
    kind: str
    pipeline: str
    run_id: str | None
    title: str
    message: str
    created_at: datetime
    attempts: int
    #: When it was sent or given up; None while it waits to be sent.
    closed_at: datetime | None
    error: str | None
    #: The number of receivers that have it.
    receivers: int

    @property
    def delivery(self) -> Delivery:
        """Whether it was sent."""
        if self.closed_at is None:
            return Delivery.SENT_AGAIN if self.attempts else Delivery.WAITS
        if self.error:
            return Delivery.GIVEN_UP
        return Delivery.SENT if self.receivers else Delivery.NO_RECEIVERS

    def gist(self, short_id: str | None) -> str:
        """The line that says what is wrong, with ``short_id`` for the run's id.

        The first line of most messages only repeats the other fields.
        """
        first, *more = self.message.split("\n")
        line = more[0] if more and not more[0].startswith(_LOOK) else first
        return line if self.run_id is None else line.replace(self.run_id, short_id or self.run_id)


def newest_alerts(ledger: "Ledger", *, pipeline: str | None = None, limit: int) -> list[AlertReport]:
    """The newest alerts, the newest first."""
    return [
        AlertReport(**{**row, "run_id": None if row["run_id"] is None else str(row["run_id"])})
        for row in ledger.reports.alerts(pipeline=pipeline, limit=limit)
    ]


def alerts_before(
    ledger: "Ledger", *, pipeline: str | None = None, before: str | None = None, size: int
) -> Listing[AlertReport]:
    """A page of the alerts, the newest first. ``before``: the mark with which the page before it ended."""
    rows = ledger.lists.alerts(pipeline=pipeline, before=number_of(before), limit=size + 1)
    return listed(
        rows,
        size=size,
        entry=lambda row: AlertReport(**{name: value for name, value in row.items() if name != "id"}),
        mark=lambda row: str(row["id"]),
    )
