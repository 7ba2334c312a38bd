"""The audits, and what each found."""

from datetime import UTC, datetime
from typing import Any

from batchord.core.calendar.daily import next_audit
from batchord.reports.audits import audits_before
from batchord.reports.run_names import short_ids
from batchord.wiring import catalog, ledger

from .asked import Field, asked, shows_records
from .page import Page

#: Entries of a page.
SIZE = 50


class AuditsPage(Page):
    """The newest audits."""

    template, tab = "audits", "audits"

    def content(self) -> dict[str, Any]:
        """Those of all pipelines, or of one."""
        pipeline, before = asked(self, "pipeline"), asked(self, "before")
        page = audits_before(ledger(), pipeline=pipeline, before=before, size=SIZE)
        return {
            "fields": [Field(name="pipeline", label="Pipeline", value=pipeline, choices=catalog().names())],
            "page": page,
            "pipeline": pipeline,
            "next": next_audit(datetime.now(UTC)),
            "ids": short_ids(ledger(), [each.run_id for each in page.entries]),
            "look_of": lambda each: each.verdict.value.lower().replace(" ", "-"),
            "shows_records": shows_records(),
            **self.turns(before=before, older=page.older, pipeline=pipeline),
        }
