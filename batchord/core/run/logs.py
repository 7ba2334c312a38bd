"""The log of one attempt: the lines that it printed and logged. It outlives the worker."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol


class AttemptName(NamedTuple):
    """One attempt at a step, or at one of its shards."""

    run_id: str
    step: str
    #: None: the attempt was at the step as a whole.
    shard: int | None
    #: The number of the attempt, from 1.
    attempt: int


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of an attempt's log."""

    time: datetime
    #: ``DEBUG`` to ``CRITICAL``.
    level: str
    #: The logger's name, or ``stdout`` or ``stderr`` for a printed line.
    source: str
    message: str

    def to_json(self) -> list[Any]:
        """The line as JSON values: a short list, since a log may have many lines."""
        return [self.time.isoformat(), self.level, self.source, self.message]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> "LogLine":
        """The inverse of :meth:`to_json`."""
        time, level, source, message = value
        return cls(time=datetime.fromisoformat(time), level=level, source=source, message=message)


class PartName(NamedTuple):
    """Identifies a part of an attempt's log."""

    attempt: AttemptName
    part: int


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """Some lines of an attempt's log that were stored together."""

    attempt: AttemptName
    #: The number of the part in its attempt, from 0.
    part: int
    #: ``host:pid`` of the process that wrote it.
    worker: str
    lines: tuple[LogLine, ...]

    @property
    def name(self) -> PartName:
        """The part's name, which no other part has."""
        return PartName(self.attempt, self.part)


class LogStore(Protocol):
    """Stores the logs of attempts. All methods raise TransientError if the store does not answer."""

    def append(self, part: LogPart) -> None:
        """Stores a part. If a part of that name is stored already, it stays as it is."""

    def read(
        self,
        run_id: str,
        *,
        step: str | None = None,
        shard: int | None = None,
        seen: Container[PartName] = frozenset(),
    ) -> Iterator[LogPart]:
        """The run's parts in the order in which they were stored. Only their names are in memory at the same time.

        ``step`` and ``shard`` select the parts of a step or of one of its shards; ``shard`` counts only together with
        ``step``. ``seen``: names of parts to leave out.
        """

    def tail(self, attempt: AttemptName, *, lines: int) -> list[LogLine]:
        """The last ``lines`` lines of one attempt's log, in order; all of them if there are fewer."""

    def attempts(self, run_id: str) -> set[AttemptName]:
        """The run's attempts of which at least one line is stored."""

    def delete_before(self, moment: datetime) -> int:
        """Deletes the logs of runs that were opened before ``moment``. Returns the number of deleted parts.

        A run's id says when the run was opened: its first 48 bits are milliseconds since 1970 (RFC 9562, UUID
        version 7).
        """
