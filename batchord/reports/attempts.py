"""The attempts at a run's steps and shards, and which of them people ask about."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from batchord.core.text.counts import counted
from batchord.reports.times import seconds_between

#: Ends of attempts that people ask about.
_ODD_ENDS = frozenset({"failed", "retried", "lost", "split", "code-changed"})

#: What errors of models say of the records at hand.
_RECORDS = re.compile(
    r"(?<=The model raised for )[\d,]+ of [\d,]+ records? of a batch, last for record .*?(?=: )"
    r"|(?<= failed on )[\d,]+ records? \(keys .*?\)(?=: )",
    re.DOTALL,
)
#: Ranges of numbers that are named.
_MOST_RANGES = 8


@dataclass(frozen=True, kw_only=True)
class AttemptReport:
    """One attempt at a shard, or at a step as a whole."""

    step: str
    #: None: at the step as a whole.
    shard: int | None
    attempt: int
    worker: str | None
    state: str
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    #: When a step that may run only once began its work; None of every other attempt.
    begun_at: datetime | None

    @property
    def is_trouble(self) -> bool:
        """Whether it did not simply go well: it failed, or followed another attempt."""
        return self.attempt > 1 or self.state in _ODD_ENDS


@dataclass(frozen=True, kw_only=True)
class AttemptGroup:
    """Attempts of one step that ended alike."""

    step: str
    state: str
    #: Of the first of them: the others may name other records.
    error: str | None
    #: In order of time; at least one.
    attempts: Sequence[AttemptReport]

    @property
    def shards(self) -> str:
        """The shards, such as ``0-3, 7``; empty for the step as a whole."""
        return ranges(each.shard for each in self.attempts if each.shard is not None)

    @property
    def numbers(self) -> str:
        """Which attempts at the step or the shards, such as ``1-3``."""
        return ranges(each.attempt for each in self.attempts)

    @property
    def worker(self) -> str | None:
        """The worker, or how many there were."""
        workers = {each.worker for each in self.attempts if each.worker}
        return next(iter(workers), None) if len(workers) <= 1 else counted(len(workers), "worker")

    @property
    def started_at(self) -> datetime:
        """When the first of them began."""
        return self.attempts[0].started_at

    @property
    def seconds(self) -> float | None:
        """All of them together; None while one is not over."""
        taken = [seconds_between(each.started_at, each.finished_at) for each in self.attempts]
        known = [each for each in taken if each is not None]
        return sum(known) if len(known) == len(taken) else None


def troubles(attempts: Iterable[AttemptReport]) -> list[AttemptGroup]:
    """The attempts that did not simply go well, equal ones together, in the order of their first ones."""
    groups: dict[tuple[str, bool, str, str | None], list[AttemptReport]] = {}
    for each in attempts:
        if each.is_trouble:
            groups.setdefault((each.step, each.shard is None, each.state, fault_of(each.error)), []).append(each)
    return [
        AttemptGroup(step=step, state=state, error=alike[0].error, attempts=alike)
        for (step, _, state, _), alike in groups.items()
    ]


def fault_of(error: str | None) -> str | None:
    """The error without the records that it names: a model that fails alike on two shards has one fault."""
    return None if error is None else _RECORDS.sub("", error)


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as people write many: ``0-3, 7``; of too many the first ones, and how many more there are."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    said = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs[:_MOST_RANGES])
    more = sum(last - first + 1 for first, last in runs[_MOST_RANGES:])
    return f"{said} and {more:,} more" if more else said
