"""The changes by hand, and who made them: ``history``."""

from dataclasses import asdict

import click

from batchord.core.text.counts import counted
from batchord.reports.changes import newest_changes
from batchord.reports.run_names import short_ids

from .database import shows_ledger
from .history import find_run
from .output import console, json_option, print_json, shortened, table
from .terminal import foreign, text

#: The most characters that are shown of a change's details.
_MOST = 160


@click.command()
@click.option("--pipeline", help="Only changes to this pipeline.")
@click.option("--run", "run_id", metavar="RUN", help="Only changes to this run.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Show at most this many.")
@json_option
@shows_ledger
def history(pipeline: str | None, run_id: str | None, limit: int, *, as_json: bool) -> None:
    """List the changes by hand and who made them: runs, retries, switches. The newest come first."""
    from batchord.wiring import ledger

    full_id = None if run_id is None else find_run(run_id).id
    reports = newest_changes(ledger(), pipeline=pipeline, run_id=full_id, limit=limit)
    if as_json:
        print_json([asdict(each) for each in reports])
        return
    ids = short_ids(ledger(), [run_id for each in reports for run_id in (each.run_id, each.repeats)])
    rows = [
        (
            each.at,
            each.action,
            foreign(each.pipeline) if each.pipeline else None,
            ids.get(each.run_id or ""),
            foreign(each.user or "unknown"),
            foreign(each.host) if each.host else None,
            each.way,
            shortened(foreign(each.detail_text(ids)), _MOST),
        )
        for each in reports
    ]
    columns = ("when", "change", "pipeline", "run", "user", "host", "by", "detail")
    table("Changes by hand", columns, rows, empty="No changes by hand yet.", least=("by", "host", "detail"))
    if len(reports) == limit:
        console.print(text((f"Limited to {counted(limit, 'change')}. --limit shows more.", "dim")))
