"""Which run will read a record that has no outcome yet, or why none will."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batchord.core.calendar.daily import next_audit
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError
from batchord.core.run.provenance import ShardOfStep, StepOfRun
from batchord.core.run.records import Position, record_key
from batchord.core.run.runs import RunState, StepState
from batchord.core.run.standing import Standing
from batchord.core.text.counts import counted
from batchord.flow.upkeep.audit import ALL_TIME
from batchord.processes.local_names import plain_name
from batchord.reports.run_names import short_id
from batchord.reports.why.next_run import next_run, next_window_start
from batchord.reports.why.sought import Sought

if TYPE_CHECKING:
    from batchord.flow.parts import Parts

#: How many ended runs are asked whether they met the record.
_RUNS_BEFORE = 3
#: The states of a shard that left records behind.
_LEFT = ("failed", "code-changed")
_BEFORE_PLAN = (StepState.PENDING, StepState.READY, StepState.PLANNING)


@dataclass(frozen=True, kw_only=True)
class Coming:
    """What comes for a record without an outcome."""

    #: Whether no scheduled run will read it again.
    missing: bool
    why: str
    next: str | None
    #: When the schedule starts the run that will read it.
    at: datetime | None = None


def coming(parts: "Parts", declared: Pipeline, step: Predict, sought: Sought) -> Coming:
    """What comes for the record. Raises the errors of the source."""
    assert sought.source is not None  # noqa: S101 -- the record was found in it
    record = _Record(parts, declared.name, step, sought.source, sought.positions[0])
    if record.position.arrival is None and step.source.arrival not in (None, step.source.key):
        return Coming(
            missing=True,
            why=f"Its arrival {step.source.arrival} is NULL. It has no place in the order, so no run can read it.",
            next="Correct its row; the daily audit reports it until then.",
        )
    standing = parts.ledger.pipelines.standing(declared.name)
    return (
        _of_an_open_run(record)
        or _of_the_past(record, declared, standing)
        or _of_the_next_run(record, declared, standing)
    )


class _Record:
    """The record, and what must be known of it."""

    def __init__(self, parts: "Parts", pipeline: str, step: Predict, source: SourceReader, position: Position) -> None:
        self.parts, self.pipeline, self.step = parts, pipeline, step
        self.source, self.position = source, position
        frontier = parts.ledger.planner.frontier(pipeline, step.name, step.source_digest).position
        #: A source that reads windows has no frontier.
        self.is_below = frontier is not None and not step.source.uses_window and source.at_or_below(position, frontier)

    def is_read_by(self, run: StepOfRun) -> bool:
        """Whether the run's plan reads the record's place, if it is made from now on."""
        if self.step.source.uses_window:
            return self.is_in(run.window)
        return run.full_scan or not self.is_below

    def is_in(self, window: tuple[datetime, datetime] | None) -> bool:
        """Whether the source gives the record for that window."""
        if window is None:
            return False
        positions = self.parts.open_source(self.step.source, window).find([record_key(self.position.key)])
        return any(at.key == self.position.key for at in positions)

    def shard_of(self, run: StepOfRun) -> ShardOfStep | None:
        """The shard of the run in whose range the record lies; None if there is none."""
        shards = self.parts.ledger.provenance.shards(run.run_id, self.step.name)
        try:
            shard = self._among([each for each in shards if each.parent is None])
            while shard is not None and shard.state == "split":
                part = self._among([each for each in shards if each.parent == shard.index])
                if part is None:
                    break
                shard = part
        except ConfigurationError:  # the source had another order when the run was planned
            return None
        return shard

    def _among(self, shards: Sequence[ShardOfStep]) -> ShardOfStep | None:
        """The one of these shards, which are in ascending order, in whose range the record lies."""
        least, most = 0, len(shards)
        while least < most:  # the first one whose end is not below the record
            middle = (least + most) // 2
            if self.source.at_or_below(self.position, shards[middle].last):
                most = middle
            else:
                least = middle + 1
        if least == len(shards):
            return None
        first = shards[least].first
        begins = first.to_json() == self.position.to_json()
        return shards[least] if begins or not self.source.at_or_below(self.position, first) else None


def _of_an_open_run(record: _Record) -> Coming | None:
    """What comes if a run that is running or queued takes the record; None if none does."""
    ledger, name = record.parts.ledger, record.step.name
    runs = ledger.provenance.open_runs(record.pipeline, name)
    first = short_id(ledger, runs[0].run_id) if runs else ""
    for run in runs:
        if run.state.over:
            continue
        short = short_id(ledger, run.run_id)
        if run.run_state is RunState.QUEUED:
            if record.is_read_by(run):
                behind = f" behind run {first}" if short != first else ""
                return Coming(missing=False, why=f"Run {short} waits{behind} and will read it.", next=_look(short))
        elif run.state in _BEFORE_PLAN:
            if record.is_read_by(run):
                waits = f" after {', '.join(run.after)}" if run.state is StepState.PENDING and run.after else ""
                why = f"Run {short} is at work and will read it: it looks for the records of step {name}{waits}."
                return Coming(missing=False, why=why, next=_look(short))
        elif run.state is StepState.RUNNING:
            shard = record.shard_of(run)
            if shard is not None and shard.state in ("pending", "running"):
                return Coming(missing=False, why=_at_work(short, shard), next=_look(short))
            if run.backlog_left and record.is_read_by(run):
                why = f"Run {short} takes no more records. A follow-up run starts when it ends, and reads it."
                return Coming(missing=False, why=why, next=_look(short))
    return None


def _of_the_past(record: _Record, declared: Pipeline, standing: Standing) -> Coming | None:
    """What comes if no scheduled run will read the record; None if one will."""
    if record.step.source.uses_window:
        return _of_a_past_window(record, declared, standing)
    if not record.is_below:
        return None
    why = (
        "It lies below the frontier, where no record was expected any more: it became visible without an INSERT, or it "
        "lost its prediction."
    )
    return Coming(missing=True, why=f"{why}{_seen(record)}", next=_audited(record, standing))


def _of_a_past_window(record: _Record, declared: Pipeline, standing: Standing) -> Coming | None:
    until = record.parts.ledger.audit.windows_until(record.pipeline, record.step.name)
    if until is not None and record.is_in((ALL_TIME[0], until)):
        why = f"It lies in a window that is over: windows up to {until:%Y-%m-%d %H:%M:%S %Z} have had their run."
        return Coming(missing=True, why=f"{why}{_seen(record)}", next=_audited(record, standing))
    start = next_window_start(declared, standing)
    if start is None or not record.is_in((ALL_TIME[0], start)):
        return None
    return Coming(
        missing=True,
        why=f"It lies before the window of the next run, which begins at {start:%Y-%m-%d %H:%M:%S %Z}.{_seen(record)}",
        next=f"`batchord run {declared.name} --from TIME --to TIME` reads its window. After the next run that "
        "succeeds, the daily audit finds it, too.",
    )


def _audited(record: _Record, standing: Standing) -> str:
    return (
        f"The daily audit at {next_audit(standing.now):%Y-%m-%d %H:%M %Z} finds it and starts a run that predicts it. "
        f"To do so now: `batchord audit {record.pipeline} --repair`."
    )


def _of_the_next_run(record: _Record, declared: Pipeline, standing: Standing) -> Coming:
    following = next_run(declared, standing)
    seen = _seen(record)
    if seen:
        why = f"It has no prediction yet.{seen}"
    elif record.step.source.uses_window:
        why = "The run of its window has not come yet."
    else:
        why = "No run has read it yet. The next run will."
    return Coming(missing=False, why=why, next=following.sentence, at=following.at)


def _seen(record: _Record) -> str:
    """A sentence about a run that met the record and left it; empty if there is none among the newest."""
    ledger, name = record.parts.ledger, record.step.name
    runs = ledger.provenance.ended_runs(record.pipeline, name, limit=_RUNS_BEFORE)
    reset_at = ledger.resets.times(record.pipeline).get(name)
    if reset_at is not None:
        runs = [run for run in runs if run.created_at > reset_at]
        if not runs:
            return f" The step was reset at {reset_at:%Y-%m-%d %H:%M:%S %Z}: what earlier runs predicted is forgotten."
    for number, run in enumerate(runs):
        short = short_id(ledger, run.run_id)
        if number == 0 and run.state is StepState.SKIPPED:
            return f" Run {short} skipped the step: a branch chose other steps, or all steps before it were skipped."
        if number == 0 and run.state is StepState.UPSTREAM_FAILED:
            return f" Run {short} did not come to the step, because a step before it failed."
        shard = record.shard_of(run)
        if shard is not None and shard.state in _LEFT:
            return f" Run {short} met it in shard {shard.index}, which ended as {shard.state}: {shard.error}"
        if number == 0 and run.state is StepState.FAILED and run.planned_at is None:
            return f" Run {short} failed before it had looked for records: {run.error}"
    return ""


def _at_work(short: str, shard: ShardOfStep) -> str:
    if shard.state == "running":
        worker = plain_name(shard.worker or "no worker")
        return f"Run {short} is predicting it: shard {shard.index}, attempt {shard.attempt}, on {worker}."
    tried = (
        f" after {counted(shard.attempt, 'attempt')}, the last with: {shard.error}"
        if shard.attempt and shard.error
        else ""
    )
    return f"Run {short} has it in shard {shard.index}, which waits for a worker{tried}."


def _look(short: str) -> str:
    return f"Look at the run: `batchord show {short}`."
