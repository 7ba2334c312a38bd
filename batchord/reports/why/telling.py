"""The story of a record in lines. The command line prints them, and Flower's page draws them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batchord.processes.local_names import plain_name
from batchord.reports.runs import TRIGGERS

if TYPE_CHECKING:
    from batchord.core.run.provenance import Outcome
    from batchord.reports.why.inputs import InputReport
    from batchord.reports.why.story import StepStory

#: 64 bits: digests are shown without a sign.
_BITS = 2**64


@dataclass(frozen=True)
class RunName:
    """A run within a line: the terminal writes a short id, a page a link."""

    id: str


#: A part of a line. Each shows a time in the reader's own way.
Part = str | datetime | RunName


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a story: what it is about, and what it says."""

    title: str
    parts: Sequence[Part]


def answer(step: "StepStory") -> str:
    """The prediction in a few words; empty if there is none."""
    outcome = step.outcome
    if outcome is None or outcome.reason is not None:
        return ""
    label = [] if outcome.label is None else [f"as {outcome.label}"]
    return ", ".join([*label, *([] if outcome.score is None else [f"score {outcome.score:.3g}"])])


def lines(step: "StepStory") -> Iterator[Line]:
    """What a step made of the record, or will."""
    for title, *parts in _lines(step):
        yield Line(title=str(title), parts=parts)


def _lines(step: "StepStory") -> Iterator[tuple[Part, ...]]:
    if step.why:
        yield "why", step.why
    if step.in_source:
        yield "arrived", *_arrival(step)
    elif step.in_source is False and step.outcome is not None:
        yield "source", "the record is not in it any more"
    elif step.source_error is not None:
        yield "source", step.source_error
    if step.outcome is not None:
        yield from _provenance(step, step.outcome)
    if step.input is not None:
        yield "input", _input(step.input)
    if step.next is not None:
        yield "next", step.next


def _provenance(step: "StepStory", outcome: "Outcome") -> Iterator[tuple[Part, ...]]:
    run = RunName(outcome.run_id)
    if outcome.kind is None:
        yield "run", "run ", run, ", which was pruned"
    else:
        trigger = str(TRIGGERS.get(outcome.trigger or "", outcome.trigger))
        slot = () if outcome.slot is None else (", slot ", outcome.slot)
        yield "discovered", outcome.discovered_at or "-", " by run ", run, f" ({trigger}", *slot, ")"
    worker = f" on {plain_name(outcome.worker)}" if outcome.worker is not None else ""
    yield str(step.state), outcome.at, f" in shard {outcome.shard}, attempt {outcome.attempt}{worker}"
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


def _arrival(step: "StepStory") -> tuple[Part, ...]:
    if step.arrival_column is None:
        return ("the key orders the source; no column says when",)
    if step.arrival is None:
        return (f"{step.arrival_column} is NULL",)
    told: Part = str(step.arrival)
    if isinstance(step.arrival, datetime) and step.arrival.tzinfo is not None:
        told = step.arrival
    return (told, f" ({step.arrival_column})")
