"""``batchord why``: the story of one record."""

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import click
from rich.table import Table

from batchord.processes.local_names import plain_name
from batchord.reports.runs import TRIGGERS

from .database import shows_ledger
from .output import cell, console, json_option, print_json
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.core.run.provenance import Outcome
    from batchord.reports.why.inputs import InputReport
    from batchord.reports.why.story import RecordStory, StepStory

_COLOURS = {
    "predicted": "green",
    "rejected": "red",
    "pending": "cyan",
    "missing": "red",
    "not found": "yellow",
    "unknown": "yellow",
}
#: 64 bits: digests are shown without a sign.
_BITS = 2**64


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
    from batchord.wiring import ledger

    ids = short_ids(ledger(), [step.outcome.run_id for step in story.steps if step.outcome is not None])
    console.print(text((f"{foreign(story.pipeline)}: record {foreign(story.key)}", "bold")))
    for step in story.steps:
        console.print(text(f"step {foreign(step.step)}: ", (step.state, _COLOURS[step.state]), foreign(_answer(step))))
        lines = Table.grid(padding=(0, 2))
        for title, line in _lines(step, ids):
            lines.add_row(text((f"  {title}", "dim")), text(line))
        console.print(lines)
    if story.near:
        console.print(f"Did you mean {', '.join(map(foreign, story.near))}?")


def _answer(step: "StepStory") -> str:
    """The prediction, in a few words."""
    outcome = step.outcome
    if outcome is None or outcome.reason is not None:
        return ""
    answer = [] if outcome.label is None else [f" as {outcome.label}"]
    return "".join([*answer, *([] if outcome.score is None else [f", score {outcome.score:.3g}"])])


def _lines(step: "StepStory", ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if step.why:
        yield "why", step.why
    if step.in_source:
        yield "arrived", _arrival(step)
    elif step.in_source is False and step.outcome is not None:
        yield "source", "the record is not in it any more"
    elif step.source_error is not None:
        yield "source", step.source_error
    if step.outcome is not None:
        yield from _provenance(step, step.outcome, ids)
    if step.input is not None:
        yield "input", _input(step.input)
    if step.next is not None:
        yield "next", step.next


def _provenance(step: "StepStory", outcome: "Outcome", ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    run = f"run {ids[outcome.run_id]}"
    if outcome.kind is None:
        yield "run", f"{run}, which was pruned"
    else:
        slot = f", slot {cell(outcome.slot)}" if outcome.slot is not None else ""
        yield (
            "discovered",
            f"{cell(outcome.discovered_at)} by {run} ({TRIGGERS.get(outcome.trigger or '', outcome.trigger)}{slot})",
        )
    worker = f" on {plain_name(outcome.worker)}" if outcome.worker is not None else ""
    yield str(step.state), f"{cell(outcome.at)} in shard {outcome.shard}, attempt {outcome.attempt}{worker}"
    if len(step.attempts) > 1:
        ends = [
            f"{each.attempt} {each.state}{f' ({each.cause})' if each.cause else ''} on {plain_name(each.worker)}"
            for each in step.attempts
        ]
        yield "attempts", "; ".join(ends)
    now = step.model_version_now
    newer = f"; a run would use {now} now" if now not in (None, outcome.model_version) else ""
    yield "model", f"{outcome.model_version}{newer}"


def _input(report: "InputReport") -> str:
    then, now = (None if each is None else f"{each % _BITS:016x}" for each in (report.then, report.now))
    if report.unknown is not None:
        return f"it cannot be told whether it has changed: {report.unknown}"
    if report.refused is not None:
        return f"now it would be rejected: {report.refused}"
    if then is None:
        return "its values are mended: now they would come to the model"
    if report.changed:
        return f"changed since: digest {then} then, {now} now; a changed record keeps its prediction"
    return f"unchanged since (digest {then})"


def _arrival(step: "StepStory") -> str:
    if step.arrival_column is None:
        return "the key orders the source; no column says when"
    if step.arrival is None:
        return f"{step.arrival_column} is NULL"
    has_zone = isinstance(step.arrival, datetime) and step.arrival.tzinfo is not None
    return f"{cell(step.arrival) if has_zone else step.arrival} ({step.arrival_column})"
