"""What upkeep needs from the ledger: recovery, audits, switches, alerts, pruning.

As in :mod:`.ledger`, every method is one transaction and raises TransientError when the database does not answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from batchord.core.run.alerts import Alert, NewAlert
from batchord.core.run.history import Change
from batchord.core.run.records import Scalar
from batchord.core.run.runs import Step


class LostStep(NamedTuple):
    """A step that stands still although nobody works on it."""

    run_id: str
    step: str
    queue: str
    #: Shards to send again; empty when all shards have ended and only the end of the step was lost.
    indexes: tuple[int, ...]


class Recovery(Protocol):
    """What was lost between a commit and its messages.

    Steps and shards that are returned are marked as sent, so that two sweepers at once share them.
    ``pipeline`` looks at one pipeline alone.
    """

    def end_stalled(self, *, lease_seconds: float) -> int:
        """Ends the ledger's transactions whose owner stands still in mid-statement for so long; returns how many.

        They would keep their locks, and everybody would wait for these.
        """

    def mend_times(self, *, lease_seconds: float) -> int:
        """Brings times that lie in the future, since the clock stepped back, down to now; returns how many.

        A lease that can only come from before the step lasts ``lease_seconds`` from now; what was sent was sent
        now; a frontier of the time that comes again is dropped, so that the next run looks at the whole source.
        """

    def stale_queued_runs(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[str]:
        """Ids of queued runs that could start and did not."""

    def stale_running_runs(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[str]:
        """Ids of running runs in which no step is at work although all have ended or none has started."""

    def stale_steps(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[Step]:
        """Steps that were sent and not claimed, whose next attempt is due, or whose worker's lease ran out."""

    def stale_shards(self, *, older_than_seconds: float, pipeline: str | None = None) -> list[LostStep]:
        """Planned steps with shards that were sent and not claimed or whose lease ran out, or with no open shard."""

    def backlogs(self, *, pipeline: str | None = None) -> list[tuple[str, str]]:
        """(pipeline, run id) of ended runs that left a backlog and have no follow-up run."""

    def unfollowed(
        self, follows: Sequence[tuple[str, str, str]], *, older_than_seconds: float
    ) -> list[tuple[str, str]]:
        """(following pipeline, run id) of runs of the last day that ended so and were not followed.

        ``follows``: the pipeline that is followed, the state in which its run must end, the pipeline that follows.
        """


class AuditTables(Protocol):
    """What the audit asks the ledger."""

    def states(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> dict[Scalar, tuple[int, int]]:
        """How many predictions and rejections each of ``keys`` has; absent when it has none."""

    def has_open_run(self, pipeline: str) -> bool:
        """Whether a run of the pipeline is queued or at work."""

    def windows_until(self, pipeline: str) -> datetime | None:
        """Where the windows of the runs that succeeded end so far; None when there was none."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How things stand with a pipeline."""

    #: The database's clock.
    now: datetime
    #: When it was first looked at: fire times before that are nobody's.
    first_seen_at: datetime
    #: None: ticks and events start runs.
    paused_at: datetime | None
    #: When it was paused or resumed last; None: never.
    switched_at: datetime | None
    #: When it was scheduled differently last, or by its file again: fire times before that are nobody's.
    scheduled_at: datetime | None
    #: What it is scheduled by instead of its file's schedule, as JSON; None: by the file's.
    schedule: dict[str, Any] | None
    #: The newest slot that has a scheduled run.
    last_slot: datetime | None
    #: Up to where the newest run that succeeded looked.
    last_window_end: datetime | None
    #: When the newest run that succeeded ended.
    last_success_at: datetime | None
    #: When the run at work was started, the oldest if there are several.
    running_since: datetime | None
    running_id: str | None


class PipelinesTable(Protocol):
    """What was switched at run time, kept across restarts."""

    def standing(self, name: str) -> Standing:
        """How things stand with a pipeline, which is known from now on."""

    def standings(self, names: Sequence[str]) -> dict[str, Standing]:
        """The same for many, all known from now on."""

    def switched(self) -> dict[str, dict[str, Any]]:
        """For each pipeline that is not as its file says: ``paused`` and ``schedule``, as JSON values."""

    def pause(self, name: str, *, paused: bool, change: Change | None = None) -> bool:
        """Pauses or resumes a pipeline, and keeps the ``change``; False, and nothing kept, when it was so already."""

    def reschedule(self, name: str, schedule: dict[str, Any] | None, *, change: Change | None = None) -> None:
        """Schedules a pipeline by this instead of by its file, and keeps the ``change``; None: by its file again."""

    def note_scheduled(self, names: Sequence[str]) -> None:
        """Files schedule these pipelines now."""

    def gone(self, declared: Sequence[str], *, for_seconds: float) -> dict[str, datetime]:
        """Pipelines that files scheduled and that are not ``declared``, for so long: when a file last did."""

    def forget_scheduled(self, name: str) -> None:
        """That no file schedules it any more is told."""

    def open_windows(self, name: str) -> set[tuple[datetime, datetime]]:
        """Windows that a backfill of the pipeline is about to fill, or at work on."""


class AlertTables(Protocol):
    """Messages to people: kept once for each event, sent at least once to each receiver."""

    def keep(self, alert: NewAlert, *, incident: str | None = None) -> bool:
        """Keeps a message, once for each event; False when the event was known.

        ``incident``: what the pipeline has to recover from; noted with it.
        """

    def begin(self, incident: str, alert: NewAlert) -> bool:
        """Notes that something is wrong with the alert's pipeline, and keeps the alert; False when that was known.

        The alert's event is completed with the time at which the incident began.
        """

    def recover(self, incident: str, alert: NewAlert) -> bool:
        """Notes that it is over, and keeps the alert; False when nothing was wrong. The event is completed likewise."""

    def incidents(self, kind: str) -> dict[str, str]:
        """What is wrong at the moment, of that kind: for each pipeline, or file, what it was opened with."""

    def any_due(self) -> bool:
        """Whether a message waits to be sent."""

    def claim(self, *, lease_seconds: float) -> Alert | None:
        """A message that is due, for this process alone for that time; None when there is none."""

    def renew(self, alert: Alert, *, lease_seconds: float) -> None:
        """Keeps a claimed message for this process."""

    def note_sent(self, alert: Alert, receiver: str) -> None:
        """``receiver`` has taken it."""

    def postpone(self, alert: Alert, *, seconds: float, error: str) -> None:
        """Not every receiver took it: it is due again then."""

    def close(self, alert: Alert, *, error: str | None = None) -> None:
        """Every receiver has it; or it is given up, and ``error`` says why."""


class Pruning(Protocol):
    """Deletes what need not be kept any longer, a bounded number of rows in each transaction."""

    def keep(self, change: Change | None) -> None:
        """Keeps that somebody prunes by hand, before it begins; nothing for None."""

    def history(self, *, before: datetime) -> int:
        """Deletes what was changed by hand before."""

    def runs(self, *, before: datetime, idle_before: datetime) -> int:
        """Deletes ended runs of before that time, and those that found nothing of before ``idle_before``.

        The newest scheduled run of each pipeline stays: it tells which fire times have passed.
        """

    def alerts(self, *, before: datetime) -> int:
        """Deletes alerts that were sent, or given up, before."""

    def outputs(self, *, before: datetime) -> int:
        """Empties ``output`` of predictions made before. Key, label and score stay: nothing is made twice."""
