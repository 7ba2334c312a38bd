"""The log of one attempt: what it printed and logged, kept after its worker is gone."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol


class AttemptName(NamedTuple):
    """One attempt at a step, or at one of its shards."""

    run_id: str
    step: str
    #: None: the step as a whole.
    shard: int | None
    #: Counts from 1.
    attempt: int


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of an attempt's log."""

    time: datetime
    #: ``DEBUG`` to ``CRITICAL``.
    level: str
    #: The logger's name; ``stdout`` or ``stderr`` of what was printed.
    source: str
    message: str

    def to_json(self) -> list[Any]:
        """Short: there may be many."""
        return [self.time.isoformat(), self.level, self.source, self.message]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> "LogLine":
        """The line that :meth:`to_json` gave."""
        time, level, source, message = value
        return cls(time=datetime.fromisoformat(time), level=level, source=source, message=message)


class PartName(NamedTuple):
    """A part of an attempt's log."""

    attempt: AttemptName
    part: int


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """Some lines of an attempt's log, as they were written down together."""

    attempt: AttemptName
    #: Counts from 0 in each attempt.
    part: int
    #: ``host:pid`` of who wrote it.
    worker: str
    lines: tuple[LogLine, ...]

    @property
    def name(self) -> PartName:
        """What tells it from all others."""
        return PartName(self.attempt, self.part)


class LogStore(Protocol):
    """Where logs are kept. All methods raise TransientError when the store does not answer."""

    def append(self, part: LogPart) -> None:
        """Keeps a part. A part that is there already stays as it is."""

    def read(
        self,
        run_id: str,
        *,
        step: str | None = None,
        shard: int | None = None,
        seen: Container[PartName] = frozenset(),
    ) -> Iterator[LogPart]:
        """The run's parts in the order in which they were kept; only their names are in memory at once.

        ``step`` and ``shard``: only theirs; ``shard`` counts only together with ``step``. ``seen``: without these.
        """

    def delete_before(self, moment: datetime) -> int:
        """Deletes what runs opened before ``moment`` logged; returns how many parts that were.

        A run's id tells when it was opened: its first 48 bits are milliseconds since 1970 (RFC 9562, UUID version 7).
        """
