"""The command ``audits``."""

from dataclasses import asdict

import click
from rich.text import Text

from batchord.core.text.counts import counted
from batchord.core.text.visible import as_one_entry
from batchord.reports.audits import PastAudit, audits_before
from batchord.reports.run_names import short_ids

from .database import shows_ledger
from .output import console, json_option, print_json, shortened, table
from .terminal import foreign, text

#: The most characters that are shown of why a step was not checked.
_MOST = 160


@click.command()
@click.option("--pipeline", help="Only audits of this pipeline.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Show at most this many.")
@json_option
@shows_ledger
def audits(pipeline: str | None, limit: int, *, as_json: bool) -> None:
    """List the past audits and what each found. The newest come first.

    `batchord audit` audits now.
    """
    from batchord.wiring import ledger

    page = audits_before(ledger(), pipeline=pipeline, size=limit)
    if as_json:
        print_json([{**asdict(each), "verdict": each.verdict} for each in page.entries])
        return
    ids = short_ids(ledger(), [each.run_id for each in page.entries])
    rows = [
        (
            each.at,
            each.pipeline,
            text((each.verdict, "green" if each.clean else "red")),
            each.records,
            each.predicted,
            each.rejected,
            each.pending,
            each.missing,
            each.duplicated,
            ids.get(each.run_id or ""),
            foreign(each.user) if each.user else each.way or "the day",
        )
        for each in page.entries
    ]
    counts = (">records", ">predicted", ">rejected", ">pending", ">missing", ">duplicated")
    columns = ("when", "pipeline", "result", *counts, "repaired by", "by")
    empty = "No audit yet." if pipeline is None else f"No audit of {foreign(pipeline)} yet."
    table("Audits", columns, rows, empty=empty, least=("by", "pending", "rejected", "predicted"))
    for each in page.entries:
        for step, why in each.not_audited.items():
            console.print(_not_checked(each, step, why))
    if page.older is not None:
        console.print(text((f"Limited to {counted(limit, 'audit')}. --limit shows more.", "dim")))


def _not_checked(audit: PastAudit, step: str, why: str) -> Text:
    which = f" could not check step {foreign(step)}" if step else " could not check it"
    where = f"{audit.at.astimezone():%Y-%m-%d %H:%M} {foreign(audit.pipeline)}:{which}:"
    return text((where, "red"), f" {shortened(as_one_entry(why), _MOST)}")
