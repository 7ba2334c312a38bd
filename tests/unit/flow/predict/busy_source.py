"""A database that is never quiet, in memory: what discovery has to be right about.

Transactions take positions early and commit late, are rolled back or prepared, also between any two
statements of a discovery and between two chunks of its scan.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Self

from batchord.core.declared.source_reader import Fetched, SourceReader
from batchord.core.run.horizon import Stray
from batchord.core.run.records import Position
from batchord.core.run.shards import ShardRange

START = datetime(2026, 1, 1, tzinfo=UTC)

Verb = Literal["begin", "start", "take", "write", "commit", "roll back", "prepare", "tick", "stray"]

#: From here on positions are those of records whose clock was wrong.
STRAYS = 10**9


class Event(NamedTuple):
    """Something that another session does; ``which`` chooses among the open transactions.

    ``start`` begins a transaction and takes a position; ``write`` is a whole transaction with its commit, and so is
    ``stray``, at a position that nothing can follow.
    """

    verb: Verb
    which: int


@dataclass
class Transaction:
    """Open: its records are invisible, and it may still take positions unless it is prepared."""

    taken: list[int] = field(default_factory=list)
    #: When it took its first position.
    since: datetime = START


@dataclass
class World:
    """Sessions, their transactions, and the records that they committed."""

    #: How long a transaction may stay open after it took a position; None for ever.
    longest: timedelta | None = None
    now: datetime = START
    committed: set[int] = field(default_factory=set)
    open: dict[str, Transaction] = field(default_factory=dict)
    _names: int = 0
    _positions: int = 0

    def happen(self, event: Event) -> None:
        """Does what the event says, if there is a transaction that can."""
        if event.verb == "tick":
            self.now += timedelta(seconds=1)
            self._end_overdue()
        elif event.verb in ("begin", "start"):
            self._names += 1
            self.open[f"vx:{self._names}"] = Transaction()
            if event.verb == "start":
                self._continue(f"vx:{self._names}", "take")
        elif event.verb == "stray":
            self.committed.add(STRAYS + len(self.committed))
        elif event.verb == "write":
            self._positions += 1
            self.committed.add(self._positions)
        elif self.open:
            name = sorted(self.open)[event.which % len(self.open)]
            self._continue(name, event.verb)

    def _continue(self, name: str, verb: Verb) -> None:
        transaction = self.open[name]
        is_prepared = name.startswith("px:")
        if verb == "take" and not is_prepared:
            self._positions += 1
            transaction.since = transaction.since if transaction.taken else self.now
            transaction.taken.append(self._positions)
        elif verb == "prepare" and not is_prepared:
            self._names += 1
            self.open[f"px:{self._names}"] = self.open.pop(name)
        elif verb in ("commit", "roll back"):
            del self.open[name]
            if verb == "commit":
                self.committed.update(transaction.taken)

    def _end_overdue(self) -> None:
        for name, transaction in list(self.open.items()):
            overdue = self.longest is not None and transaction.taken and self.now - transaction.since >= self.longest
            if overdue:
                self._continue(name, "commit")

    def names(self, kind: str) -> frozenset[str]:
        """The open transactions whose name has this beginning."""
        return frozenset(name for name in self.open if name.startswith(kind))


class BusySource(SourceReader):
    """Its transactions can be told; ``pause`` is called between any two statements."""

    @property
    def transactions(self) -> Self:
        """See the port."""
        return self

    @property
    def counter(self) -> Self:
        """See the port."""
        return self

    def check(self) -> tuple[str, ...]:
        """See the port."""
        return ("id",)

    @property
    def stray(self) -> Stray | None:
        """See the port."""
        strays = [number for number in self._world.committed if number >= STRAYS]
        return Stray(key=str(max(strays)), position=str(max(strays))) if strays else None

    def __init__(
        self, world: World, pause: Callable[[], None], *, chunk_rows: int = 2, accounted: set[int] | None = None
    ) -> None:
        """``accounted``: what the ledger knows, where it is in the same database."""
        self._accounted = accounted
        self._world = world
        self._pause = pause
        self._chunk_rows = chunk_rows

    def lies_beyond(self, position: Position) -> bool:
        """See the port."""
        return _number(position) >= STRAYS

    def interrupt(self) -> None:
        """See the port: nothing takes long."""

    def greatest_position(self) -> Position | None:
        """See the port."""
        self._pause()
        present = [number for number in self._world.committed if number < STRAYS]
        return _position(max(present)) if present else None

    def running_transactions(self) -> frozenset[str]:
        """See the port: locks first, prepared ones in a later statement."""
        self._pause()
        if self._world.longest is not None:
            return frozenset()
        sessions = self._world.names("vx:")
        self._pause()
        return sessions | self._world.names("px:")

    def at_or_below(self, position: Position, limit: Position) -> bool:
        """See the port."""
        self._pause()
        return position.key in self._world.committed and _number(position) <= _number(limit)

    def keys(self, *, after: Position | None, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """See the port: one snapshot, taken when the first chunk is asked for."""
        self._pause()
        least = 0 if after is None else _number(after)
        snapshot = [_position(number) for number in sorted(self._world.committed) if number > least]
        rows = min(chunk_rows, self._chunk_rows)
        for start in range(0, len(snapshot), rows):
            yield snapshot[start : start + rows]
            self._pause()

    def pieces(self, *, after: Position | None, pipeline: str, step: str, rows: int) -> Iterator[ShardRange] | None:
        """See the port: one snapshot of source and ledger."""
        del pipeline, step
        if self._accounted is None:
            return None
        self._pause()
        least = 0 if after is None else _number(after)
        met = [number for number in sorted(self._world.committed) if number > least]
        cuts = [(start, met[start : start + rows]) for start in range(0, len(met), rows)]
        return iter([_piece(start, numbers, self._accounted) for start, numbers in cuts])

    def rows(
        self, *, first: Position, last: Position, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> Iterator[Fetched]:
        """Discovery never reads records."""
        raise NotImplementedError(first, last, chunk_rows, columns)

    def keys_for_audit(self, *, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """Discovery never audits."""
        raise NotImplementedError(chunk_rows)

    def count_without_key(self) -> int:
        """See the port."""
        raise NotImplementedError


def _piece(start: int, numbers: Sequence[int], accounted: set[int]) -> ShardRange:
    return ShardRange(
        first=_position(numbers[0]),
        last=_position(numbers[-1]),
        planned=len(set(numbers) - accounted),
        places=(start, start + len(numbers) - 1),
    )


def _position(number: int) -> Position:
    return Position(arrival=None, key=number)


def _number(position: Position) -> int:
    assert isinstance(position.key, int)
    return position.key
