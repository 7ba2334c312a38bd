"""Rejected records: why, how many, and what to do about them."""

from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.run.run_lists import RejectionFilter
from batchord.reports.listing import Listing
from batchord.reports.rejections import MOST_COUNTED, RejectionCount, rejection_counts, rejections_before
from batchord.reports.run_names import short_ids
from batchord.wiring import catalog, ledger

from ...drawing.words import number
from .acting import retry
from .asked import Field, asked, posted, run_id, sealed, shows_records, unsealed
from .page import Action, Page

#: Entries of a page.
SIZE = 50


class RejectionsPage(Page):
    """Counts by reason, and the newest rejections."""

    template, tab = "rejections", "rejections"

    def content(self) -> dict[str, Any]:
        """What the filter leaves."""
        pipeline, step, reason, run = (asked(self, name) for name in ("pipeline", "step", "reason", "run"))
        before = asked(self, "before")
        chosen = RejectionFilter(pipeline=pipeline, step=step, reason=reason, run_id=run_id(run))
        counts = rejection_counts(ledger(), chosen)
        shown = shows_records()
        page = rejections_before(ledger(), chosen, before=before, size=SIZE) if shown else Listing(entries=[])
        names = {"pipeline": pipeline, "step": step, "reason": reason, "run": run}
        return {
            "fields": [
                Field(name="pipeline", label="Pipeline", value=pipeline, choices=catalog().names()),
                Field(name="step", label="Step", value=step, choices=sorted({each.step for each in counts})),
                Field(name="reason", label="Reason", value=reason, choices=sorted({each.reason for each in counts})),
                Field(name="run", label="Run", value=run, example="the first characters of its id"),
            ],
            "counts": counts,
            "count_of": count_of,
            "page": page,
            "ids": short_ids(ledger(), [each.run_id for each in page.entries]),
            "chosen": names,
            **self.turns(before=before, older=page.older, **names),
            "shows_records": shown,
            "sealed": sealed,
        }


class RetryRejections(Action):
    """Removes rejections and starts a run that predicts their records again."""

    def act(self) -> tuple[str, str]:
        """Those of one record, or of a reason, or all of the pipeline."""
        pipeline, reason, key = (posted(self, name) for name in ("pipeline", "reason", "key"))
        if pipeline is None:
            raise ConfigurationError("The form names no pipeline. Reload the page and try again.")
        keys = None if key is None else [unsealed(key)]
        text, run = retry(pipeline=pipeline, reason=reason, keys=keys)
        return text, self.address("rejections", pipeline=pipeline) if run is None else self.address("run", run.id)


def count_of(each: RejectionCount) -> str:
    """The number of a group's rejections, as far as they are counted."""
    return f"{number(MOST_COUNTED)}+" if each.is_more else number(each.count)
