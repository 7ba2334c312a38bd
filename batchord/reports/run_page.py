"""One run as a page shows it: the facts of ``batchord show``, a bounded number of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batchord.core.calendar.schedules import open_start
from batchord.core.run.runs import Run, StepState
from batchord.reports.attempts import AttemptReport
from batchord.reports.changes import ChangeReport, newest_changes
from batchord.reports.counts import counts_of
from batchord.reports.failures import FailureGroup, failure_groups
from batchord.reports.progress import StepProgress, progress_of
from batchord.reports.rejections import RejectionReport
from batchord.reports.run import RunOutcome, outcome_of
from batchord.reports.run_names import short_ids
from batchord.reports.steps import StepReport
from batchord.reports.timeline import Timeline, timeline_of
from batchord.reports.waits import waits_of

if TYPE_CHECKING:
    from batchord.ledger import Ledger

#: The most attempts, failures, and changes by hand.
_ATTEMPTS, _FAILURES, _CHANGES = 200, 60, 20
#: The samples of a reason, the rejections that are looked at for them, and the most samples.
_SAMPLES, _LOOKED_AT, _MOST_SAMPLES = 3, 2_000, 60
#: States of steps that ``batchord rerun --failed`` repeats.
_FAILED = (StepState.FAILED, StepState.CODE_CHANGED, StepState.UPSTREAM_FAILED)


@dataclass(frozen=True, kw_only=True)
class RejectedRecords:
    """The rejections of a run that have one step and one reason."""

    step: str
    reason: str
    #: How many there are now: at least this many if :attr:`is_at_least`.
    count: int
    is_at_least: bool
    samples: Sequence[RejectionReport]


@dataclass(frozen=True, kw_only=True)
class RunPageReport:
    """All that the page of a run shows, but the log."""

    outcome: RunOutcome
    #: The short ids of the run and of the run that it repeats.
    short: str
    short_rerun_of: str | None
    window: tuple[datetime | None, datetime | None]
    params: Mapping[str, object]
    models: Mapping[str, str]
    steps: Sequence[StepReport]
    #: What it waits for, or why it never started.
    waits: Sequence[str]
    #: The changes by hand that made, ended or repeated it; the newest first.
    changes: Sequence[ChangeReport]
    progress: Sequence[StepProgress]
    timeline: Timeline
    failures: Sequence[FailureGroup]
    rejections: Sequence[RejectedRecords]
    #: The steps that a person reset after this run, and when.
    resets: Mapping[str, datetime]

    @property
    def may_cancel(self) -> bool:
        """Whether it can be cancelled."""
        return not self.outcome.run.state.ended

    @property
    def may_rerun(self) -> bool:
        """Whether it can be repeated."""
        return self.outcome.run.state.ended

    @property
    def may_rerun_failed(self) -> bool:
        """Whether its failed steps can be repeated."""
        return self.may_rerun and any(step.state in _FAILED for step in self.steps)

    @property
    def may_retry(self) -> bool:
        """Whether records that it rejected can be predicted again."""
        return self.outcome.run.state.ended and bool(self.rejections)


def run_page(ledger: "Ledger", run: Run) -> RunPageReport:
    """The run as it is now."""
    steps = [StepReport(**row, executed=row["attempt"]) for row in ledger.reports.steps(run.id)]
    names = {step.name for step in steps}
    ids = short_ids(ledger, [run.id, run.rerun_of])
    resets = ledger.resets.times(run.pipeline)
    failed = ledger.run_details.failed_attempts(run.id, limit=_FAILURES)
    outcome = outcome_of(run, counts_of(ledger, [run.id])[run.id])
    return RunPageReport(
        outcome=outcome,
        short=ids[run.id],
        short_rerun_of=None if run.rerun_of is None else ids.get(run.rerun_of, run.rerun_of),
        window=(open_start(run.window_start), run.window_end),
        params=run.params,
        models=run.models,
        steps=steps,
        waits=waits_of(ledger, run),
        changes=newest_changes(ledger, run_id=run.id, limit=_CHANGES),
        progress=progress_of(ledger, run.id),
        timeline=timeline_of(ledger, run.id, most=_ATTEMPTS),
        failures=failure_groups(AttemptReport(**row) for row in failed),
        rejections=_rejections(ledger, outcome),
        resets={step: at for step, at in resets.items() if step in names and at > run.created_at},
    )


def _rejections(ledger: "Ledger", outcome: RunOutcome) -> Sequence[RejectedRecords]:
    """By step and reason. Of very many rejections, the counts are those of the run's summary, if it has one."""
    rows = ledger.run_details.rejection_samples(outcome.run.id, each=_SAMPLES, most=_LOOKED_AT, limit=_MOST_SAMPLES)
    found: dict[tuple[str, str], int] = {(row["step"], row["reason"]): row.pop("found") for row in rows}
    samples = [RejectionReport(**row) for row in rows]
    has_more = sum(found.values()) >= _LOOKED_AT
    at_end = {(each.step, reason): count for each in outcome.steps for reason, count in each.rejections.items()}
    counts = {**found, **at_end} if has_more else found
    return [
        RejectedRecords(
            step=step,
            reason=reason,
            count=count,
            is_at_least=has_more and (step, reason) not in at_end,
            samples=[each for each in samples if (each.step, each.reason) == (step, reason)],
        )
        for (step, reason), count in counts.items()
    ]
