"""One run: its outcome, its steps, its shards, and the attempts at them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchord.core.calendar.schedules import open_start
from batchord.core.run.after_losses import only_ends
from batchord.core.run.runs import Run
from batchord.reports.attempts import AttemptGroup, AttemptReport, fault_of, troubles
from batchord.reports.counts import StepCounts, counts_of
from batchord.reports.failures import FailureGroup, failure_groups
from batchord.reports.progress import StepProgress, progress_of
from batchord.reports.runs import RunReport
from batchord.reports.steps import ShardReport, StepReport
from batchord.reports.summaries import StepSummary, step_summaries
from batchord.reports.waits import waits_of

if TYPE_CHECKING:
    from batchord.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """A run and its outcome so far."""

    run: RunReport
    rerun_of: str | None
    error: str | None
    #: The summaries of the Predict steps that have ended.
    steps: Sequence[StepSummary]
    #: Whether its counts matter: it has a Predict step, or it had records.
    predicts: bool


@dataclass(frozen=True, kw_only=True)
class RunDetail:
    """All details of a run."""

    outcome: RunOutcome
    #: None: the window begins at the beginning of time.
    window_start: datetime | None
    window_end: datetime | None
    models: Mapping[str, str]
    params: Mapping[str, Any]
    #: The summary as the ledger has it.
    summary: Mapping[str, Any] | None
    steps: Sequence[StepReport]
    shards: Sequence[ShardReport]
    #: All attempts, in order of time.
    attempts: Sequence[AttemptReport]
    #: The attempts that had trouble, in groups of those that ended alike.
    troubles: Sequence[AttemptGroup] = field(default=())
    #: The steps that a person reset after this run, and when: what the run wrote for them is gone.
    resets: Mapping[str, datetime] = field(default_factory=dict)
    #: What the run waits for, or why it never started: one sentence each.
    waits: Sequence[str] = field(default=())
    #: How far the Predict steps of an open run are.
    progress: Sequence[StepProgress] = field(default=())

    @property
    def failures(self) -> Sequence[FailureGroup]:
        """The errors of the author's code, the earliest first."""
        return failure_groups(self.attempts)

    @property
    def shard_errors(self) -> Sequence[str | None]:
        """The error of each shard; None if it has none or :attr:`troubles` shows it."""
        shown = {fault_of(trouble.error) for trouble in self.troubles}
        return [None if fault_of(shard.error) in shown else shard.error for shard in self.shards]

    def is_told_by_run(self, step: StepReport) -> bool:
        """Whether the run's error contains the step's whole error."""
        return bool(step.error) and str(step.error) in (self.outcome.error or "")

    def is_told_by_step(self, trouble: AttemptGroup) -> bool:
        """Whether the step's error contains the whole error of these attempts."""
        errors = [step.error or "" for step in self.steps if step.name == trouble.step]
        return bool(trouble.error) and any(error.endswith(str(trouble.error)) for error in errors)

    def as_json(self) -> dict[str, Any]:
        """The contract for programs."""
        return {
            **asdict(self.outcome.run),
            "window_start": self.window_start,
            "window_end": self.window_end,
            "rerun_of": self.outcome.rerun_of,
            "models": self.models,
            "params": self.params,
            "summary": self.summary,
            "error": self.outcome.error,
            "waits": self.waits,
            "resets": self.resets,
            "steps": [step.as_json() for step in self.steps],
            "shards": [asdict(shard) for shard in self.shards],
            "attempts": [asdict(attempt) for attempt in self.attempts],
        }


def outcome_of(run: Run, counts: Sequence[StepCounts] = ()) -> RunOutcome:
    """The outcome of the run so far. ``counts``: those of its Predict steps now, if the run has not ended."""
    report = RunReport.of(run, counts)
    has_steps = bool((run.summary or {}).get("steps"))
    return RunOutcome(
        run=report,
        rerun_of=run.rerun_of,
        error=run.error,
        steps=step_summaries(run.summary),
        predicts=has_steps or bool(report.counts or run.discovered or run.predicted or run.rejected),
    )


def detail_of(ledger: "Ledger", run: Run) -> RunDetail:
    """The run with its steps, shards and attempts as they are now."""
    reports = ledger.reports
    steps, shards, attempts = reports.steps(run.id), reports.shards(run.id), reports.attempts(run.id)
    tried = [AttemptReport(**row) for row in attempts]
    names = {row["name"] for row in steps}
    resets = ledger.resets.times(run.pipeline)
    return RunDetail(
        outcome=outcome_of(run, counts_of(ledger, [run.id])[run.id]),
        window_start=open_start(run.window_start),
        window_end=run.window_end,
        models=run.models,
        params=run.params,
        summary=run.summary,
        steps=[StepReport(**row, executed=_executed(row, tried)) for row in steps],
        shards=[ShardReport(**row) for row in shards],
        attempts=tried,
        troubles=troubles(tried),
        resets={step: at for step, at in resets.items() if step in names and at > run.created_at},
        waits=waits_of(ledger, run),
        progress=() if run.state.ended else progress_of(ledger, run.id),
    )


def _executed(step: Mapping[str, Any], attempts: Sequence[AttemptReport]) -> int:
    """How often the step was executed, or planned.

    An attempt that only ended the step after losses does not count. Of a step that may run only once, only attempts
    that began their work count.
    """
    own = [each for each in attempts if each.step == step["name"] and each.shard is None]
    begun = [each for each in own if each.begun_at]
    return len(begun) or sum(not only_ends(each.error) for each in own) or int(step["attempt"])
