"""The alerts, and whether they were sent."""

from typing import Any

from batchord.core.run.alerts import AlertKind
from batchord.reports.alerts import AlertReport, alerts_before
from batchord.reports.run_names import short_ids
from batchord.wiring import catalog, ledger

from .asked import Field, asked, shows_records
from .page import Page

#: Entries of a page.
SIZE = 50


class AlertsPage(Page):
    """The newest alerts."""

    template, tab = "alerts", "alerts"

    def content(self) -> dict[str, Any]:
        """Those of all pipelines, or of one."""
        pipeline, before = asked(self, "pipeline"), asked(self, "before")
        page = alerts_before(ledger(), pipeline=pipeline, before=before, size=SIZE)
        return {
            "fields": [Field(name="pipeline", label="Pipeline", value=pipeline, choices=catalog().names())],
            "page": page,
            "pipeline": pipeline,
            "ids": short_ids(ledger(), [each.run_id for each in page.entries]),
            "look_of": lambda each: _LOOKS.get(each.delivery.value, each.delivery.value.replace(" ", "-")),
            "message_of": message_of,
            "at_work": any(each.closed_at is None for each in page.entries),
            **self.turns(before=before, older=page.older, pipeline=pipeline),
        }


_LOOKS = {"will be sent again": "sent-again"}


def message_of(each: AlertReport) -> str:
    """The message, if it may be shown: that of an audit names records."""
    if each.kind == AlertKind.AUDIT and not shows_records():
        return "Not shown: the setting BATCHORD_SHOW_RECORDS is none."
    return each.message
