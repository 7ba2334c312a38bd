"""What people changed by hand."""

from typing import Any

from batchord.reports.changes import changes_before
from batchord.reports.run_names import short_ids
from batchord.wiring import catalog, ledger

from .asked import Field, asked, run_id, shows_records
from .page import Page

#: Entries of a page.
SIZE = 50
#: The detail that names records.
_KEYS = "keys"


class HistoryPage(Page):
    """The newest changes."""

    template, tab = "history", "history"

    def content(self) -> dict[str, Any]:
        """What the filter leaves."""
        pipeline, run, user, before = (asked(self, name) for name in ("pipeline", "run", "user", "before"))
        page = changes_before(ledger(), pipeline=pipeline, run_id=run_id(run), user=user, before=before, size=SIZE)
        names = {"pipeline": pipeline, "run": run, "user": user}
        shown = shows_records()
        ids = short_ids(ledger(), [of for each in page.entries for of in (each.run_id, each.repeats)])
        return {
            "fields": [
                Field(name="pipeline", label="Pipeline", value=pipeline, choices=catalog().names()),
                Field(name="run", label="Run", value=run, example="the first characters of its id"),
                Field(name="user", label="Who", value=user, example="a user's name"),
            ],
            "page": page,
            "chosen": names,
            "ids": ids,
            "detail_of": lambda each: each.detail_text(ids) if shown or _KEYS not in each.detail else "some records",
            **self.turns(before=before, older=page.older, **names),
        }
