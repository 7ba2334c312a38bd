"""The attempts at a run's steps and shards, and those of them that had trouble."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from batchord.core.run.times import seconds_between
from batchord.core.text.counts import counted
from batchord.processes.local_names import plain_name

#: The states of attempts that had trouble.
_ODD_ENDS = frozenset({"failed", "retried", "lost", "split", "code-changed"})

#: The parts of a model's error that name records.
_RECORDS = re.compile(
    r"(?<=The model raised for )(?:every record of a batch of [\d,]+|at least [\d,]+ of the [\d,]+ records of a batch, "
    r"and no record was rejected\. The first is record .*?)(?=: )"
    r"|(?<= failed for )(?:record .*?|[\d,]+ records, from .*? to .*?)(?=: )"
    # As release 0.2 and earlier ones wrote it:
    r"|(?<=The model raised for )[\d,]+ of [\d,]+ records? of a batch, last for record .*?(?=: )"
    r"|(?<= failed on )[\d,]+ records? \(keys .*?\)(?=: )",
    re.DOTALL,
)
#: The most ranges of numbers that are shown.
_MOST_RANGES = 8


@dataclass(frozen=True, kw_only=True)
class AttemptReport:
    """One attempt at a shard, or at a step as a whole."""

    step: str
    #: None for an attempt at a step as a whole.
    shard: int | None
    attempt: int
    worker: str | None
    state: str
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    #: When the work of a step that may run only once began; None for all other attempts.
    begun_at: datetime | None
    #: The first error of the author's code, as :class:`.core.run.failures.Failure` has it; None: there was none.
    failure: Mapping[str, Any] | None = None

    @property
    def is_trouble(self) -> bool:
        """Whether it had trouble: it failed, or it followed another attempt."""
        return self.attempt > 1 or self.state in _ODD_ENDS


@dataclass(frozen=True, kw_only=True)
class AttemptGroup:
    """Attempts of one step that ended alike."""

    step: str
    state: str
    #: The error of the first attempt. The errors of the others may name other records.
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
        workers = {plain_name(each.worker) for each in self.attempts if each.worker}
        return next(iter(workers), None) if len(workers) <= 1 else counted(len(workers), "worker")

    @property
    def started_at(self) -> datetime:
        """When the first of them began."""
        return self.attempts[0].started_at

    @property
    def seconds(self) -> float | None:
        """The sum over all attempts; None while one of them is not over."""
        lengths = [seconds_between(each.started_at, each.finished_at) for each in self.attempts]
        over = [length for length in lengths if length is not None]
        return sum(over) if len(over) == len(lengths) else None


def troubles(attempts: Iterable[AttemptReport]) -> list[AttemptGroup]:
    """Groups of the attempts that had trouble. Attempts that ended alike are one group; the earliest comes first."""
    groups: dict[tuple[str, bool, str, str | None], list[AttemptReport]] = {}
    for each in attempts:
        if each.is_trouble:
            groups.setdefault((each.step, each.shard is None, each.state, fault_of(each.error)), []).append(each)
    return [
        AttemptGroup(step=step, state=state, error=alike[0].error, attempts=alike)
        for (step, _, state, _), alike in groups.items()
    ]


def fault_of(error: str | None) -> str | None:
    """The error without the records that it names, so that a model that fails alike on two shards has one fault."""
    return None if error is None else _RECORDS.sub("", error)


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as ranges, such as ``0-3, 7``. If there are too many, the first ones and the number of the others."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs[:_MOST_RANGES])
    more = sum(last - first + 1 for first, last in runs[_MOST_RANGES:])
    return f"{shown} and {more:,} more" if more else shown
