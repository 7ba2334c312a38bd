"""Who worked on a run when: its attempts by worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchord.core.run.times import seconds_between
from batchord.processes.local_names import plain_name
from batchord.reports.attempts import AttemptGroup, AttemptReport, troubles

if TYPE_CHECKING:
    from batchord.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class TimedAttempt:
    """An attempt on the timeline."""

    attempt: AttemptReport
    #: The Celery task's id; None without Celery.
    task: str | None
    #: Why it was lost, see :class:`batchord.core.reasons.LossCause`; None for every other end.
    cause: str | None

    @property
    def place(self) -> tuple[str, int | None, int]:
        """Step, shard and attempt."""
        return self.attempt.step, self.attempt.shard, self.attempt.attempt

    @property
    def name(self) -> str:
        """Step, shard and attempt for people, such as ``predict/3 #2``."""
        each = self.attempt
        place = each.step if each.shard is None else f"{each.step}/{each.shard}"
        return f"{place} #{each.attempt}"

    @property
    def worker(self) -> str:
        """The worker for people: its host and its pid."""
        return plain_name(self.attempt.worker) if self.attempt.worker else "unknown"

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is not over."""
        return seconds_between(self.attempt.started_at, self.attempt.finished_at)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The attempts of a run, or the most notable of them."""

    #: In order of time.
    attempts: Sequence[TimedAttempt]
    #: How many were left out, since the run has very many. Those at work, in trouble, or longest are never left out
    #: before others.
    left_out: int
    now: datetime
    #: The shown attempts that had trouble, in groups of those that ended alike.
    troubles: Sequence[AttemptGroup] = field(default=())


def timeline_of(ledger: "Ledger", run_id: str, *, most: int) -> Timeline:
    """At most ``most`` attempts of the run."""
    rows = ledger.run_details.notable_attempts(run_id, limit=most)
    total = rows[0]["total"] if rows else 0
    attempts = sorted((_timed(row) for row in rows), key=lambda each: each.attempt.started_at)
    return Timeline(
        attempts=attempts,
        left_out=total - len(rows),
        now=ledger.runs.now(),
        troubles=troubles(each.attempt for each in attempts),
    )


def looked_at_first(attempts: Sequence[TimedAttempt]) -> TimedAttempt | None:
    """The attempt that people look at first: one at work, else the last that failed, else the last one."""
    running = [each for each in attempts if each.attempt.state == "running"]
    odd = [each for each in attempts if each.attempt.state in ("failed", "lost")]
    return next(iter([*running[-1:], *odd[-1:], *attempts[-1:]]), None)


def _timed(row: Mapping[str, Any]) -> TimedAttempt:
    extra = ("task", "cause", "total")
    attempt = AttemptReport(**{name: value for name, value in row.items() if name not in extra})
    return TimedAttempt(attempt=attempt, task=row["task"], cause=row["cause"])
