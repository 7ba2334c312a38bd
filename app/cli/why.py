"""``batchord why``: the story of one record."""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import click
from rich.table import Table

from .database import shows_ledger
from .output import cell, console, json_option, print_json
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.reports.why.story import RecordStory
    from batchord.reports.why.telling import Part

_COLOURS = {
    "predicted": "green",
    "rejected": "red",
    "pending": "cyan",
    "missing": "red",
    "not found": "yellow",
    "unknown": "yellow",
}


# A key may begin with a hyphen, as the number -5.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("key")
@click.option("--step", help="Only this Predict step.")
@json_option
@shows_ledger
def why(name: str, key: str, step: str | None, *, as_json: bool) -> None:
    """Show what became of the record KEY of pipeline NAME, and why: predicted, rejected, or not yet.

    KEY is the record's key as the ledger and `batchord rejections` write it. The command only reads. The exit code is 1
    when no step knows the record.
    """
    from batchord.reports.why.story import story_of
    from batchord.wiring import parts

    story = story_of(parts(), pipeline=name, key=key, step=step)
    if as_json:
        print_json(story.as_json())
    else:
        _print(story)
    if not story.is_known:
        sys.exit(1)


def _print(story: "RecordStory") -> None:
    from batchord.reports.run_names import short_ids
    from batchord.reports.why.telling import answer, lines
    from batchord.wiring import ledger

    ids = short_ids(ledger(), [step.outcome.run_id for step in story.steps if step.outcome is not None])
    console.print(text((f"{foreign(story.pipeline)}: record {foreign(story.key)}", "bold")))
    for step in story.steps:
        outcome = answer(step)
        said = outcome and f"{' ' if outcome.startswith('as ') else ', '}{outcome}"
        state = (step.state, _COLOURS[step.state])
        console.print(text(f"step {foreign(step.step)}: ", state, foreign(said)))
        grid = Table.grid(padding=(0, 2))
        for line in lines(step):
            shown = "".join(_text(part, ids) for part in line.parts)
            grid.add_row(text((f"  {line.title}", "dim")), text(shown))
        console.print(grid)
    if story.near:
        console.print(f"Did you mean {', '.join(map(foreign, story.near))}?")


def _text(part: "Part", ids: Mapping[str, str]) -> str:
    """A part of a line. The line as a whole is made harmless later."""
    from batchord.reports.why.telling import RunName

    if isinstance(part, RunName):
        return ids[part.id]
    return cell(part) if isinstance(part, datetime) else part
