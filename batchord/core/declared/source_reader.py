"""The port that reads the records of a declared source in a worker.

Every source has a :class:`SourceReader`. What only some sources can do is a port of its own, which the reader may
offer: :class:`OpenTransactions`, :class:`PieceCounter`, :class:`Conditions`.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, dropwhile, islice, takewhile
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from batchord.core.run.horizon import MOST_COUNTED, MOST_STRAYS, Present, Stray, greatest_of_the_present, leading
from batchord.core.run.key_columns import KeyColumn
from batchord.core.run.records import Position, Rejection, Scalar, ledger_texts, record_key
from batchord.core.run.shards import ShardRange

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

#: How many positions the base class reads at a time.
_CHUNK_ROWS = 10_000


class Fetched(NamedTuple):
    """Records of a source: those that could be read, and rejections for the others."""

    #: Indexed by key. A column has the same type in all frames of the source.
    frame: "pd.DataFrame"
    #: Records with a value that cannot be read, or that its column's type cannot hold unchanged.
    rejections: list[Rejection]


class Unplaced(NamedTuple):
    """Records that no run can read, because they have no place in the order of their source."""

    #: The column that is NULL: the arrival, or the key.
    column: str
    #: The keys of some of them; empty if the key is NULL.
    keys: tuple[Scalar, ...]


class OpenTransactions(Protocol):
    """Shows who may still add a record at or below a position that was read before."""

    def running_transactions(self) -> frozenset[str]:
        """Every transaction that may still commit a record at or below a position read before.

        The set is complete: a transaction that is not in it is over. A name that begins with ``vx:`` may change,
        because the transaction may yet be prepared. All others are prepared (two-phase commit): they outlive their
        sessions, and keep their names to the end. They were read after those that may be prepared.
        """


class PieceCounter(Protocol):
    """Counts new records in a database that holds both the records and the ledger."""

    def pieces(self, *, after: Position | None, pipeline: str, step: str, rows: int) -> Iterator[ShardRange] | None:
        """The positions above ``after`` in pieces of ``rows`` records; the database itself looks them up in the ledger.

        ``planned`` of a piece counts its records without a prediction or a rejection of the step; it may be 0. Returns
        None if these keys cannot be compared with the ledger's texts. Raises as :meth:`SourceReader.keys` does.
        """


class Conditions(Protocol):
    """Chooses records by a condition that a person writes, such as SQL."""

    def newest_with(self, condition: str, *, limit: int) -> Sequence[Position]:
        """The greatest positions of records that meet the condition, ascending, at most ``limit``.

        The condition may use all columns of the source. It only reads. Raises ConfigurationError, which names the
        condition, if it cannot be used.
        """


class SourceReader(ABC):
    """Reads the records of one step where they are. It only reads, and never locks.

    A kind must implement :meth:`keys` and :meth:`rows`. The other methods follow from these two, if Python compares
    positions in the order in which keys come. A kind with a faster way, or another order, overrides them.

    It turns the errors of its libraries into ConfigurationError or TransientError.
    """

    #: The result of the last :meth:`greatest_position`.
    _present: Present = Present(greatest=None)

    @property
    def transactions(self) -> OpenTransactions | None:
        """The port that shows open transactions; None: the source cannot show them.

        Without it, a source has a frontier only if its author gives ``settle=``. Otherwise every run reads all keys.
        """
        return None

    @property
    def counter(self) -> PieceCounter | None:
        """The port that counts new records in the ledger's database; None: discovery looks up each key."""
        return None

    @property
    def conditions(self) -> Conditions | None:
        """The port that chooses records by a condition; None: the source has no language for conditions."""
        return None

    @property
    def key_type(self) -> str | None:
        """PostgreSQL's name for the type of the source's keys, such as ``bigint``; None: only the keys show it.

        Predictions are kept in a table whose key is of this type.
        """
        return None

    @property
    def key_parts(self) -> tuple[KeyColumn, ...]:
        """The columns of a key of several, with names and types for a table; empty for a key of one column.

        Such a key is the text of :mod:`batchord.core.run.composite_keys`, in positions and in the index of frames. In
        frames, it is a :class:`.CompositeKey`, and the index's name is the tuple of the columns' names.
        """
        return ()

    @property
    def settles_by_clock(self) -> bool:
        """Whether :meth:`greatest_position` itself stays ``settle`` behind the clock, by the times of arrivals."""
        return False

    @property
    def stray(self) -> Stray | None:
        """The greatest record that the last :meth:`greatest_position` left out; None if it left out none."""
        return self._present.stray

    @abstractmethod
    def keys(self, *, after: Position | None, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """All positions above ``after`` in ascending order, in chunks, with constant memory; no chunk is empty.

        The scan starts when the caller asks for the first chunk. A record whose key or arrival is missing has no
        position and is left out; the audit finds it. Raises ConfigurationError for a key that comes twice.
        """

    @abstractmethod
    def rows(
        self, *, first: Position, last: Position, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> Iterator[Fetched]:
        """The records from ``first`` to ``last``, both included, in frames indexed by key, ascending.

        ``columns``: the only columns to read; None: all. If a source knows its columns and lacks one of these, it reads
        all columns that it has.

        Each record is either in a frame or rejected. A rejected record does not affect the others.
        """

    def check(self) -> tuple[str, ...] | None:
        """The columns of the source, found without reading a record; None: only the records show them."""
        return None

    def interrupt(self) -> None:  # noqa: B027 -- most readers have nothing to end
        """Ends the reads that are under way. They raise TransientError.

        It may be called from another thread. A read that cannot be ended runs until its time limit.
        """

    def together(self) -> AbstractContextManager[object]:
        """Statements of the block, in this thread, may share a transaction if each still sees its own moment."""
        return nullcontext()

    def greatest_position(self) -> Position | None:
        """The greatest position visible now that the frontier may move up to; None if there is none.

        It is also None if positions do not rise in the order in which they are taken. Then every run scans the whole
        source.

        It has returned before :meth:`OpenTransactions.running_transactions` is called.

        It leaves out positions greater than any that can arrive now, such as times in the future: see :attr:`stray`.
        """
        now = datetime.now(UTC)
        present = greatest_of_the_present(self._greatest, self._has_many_beyond, ceiling=None, now=now)
        if present.stray is not None and present.limit is not None:
            count = self._count_beyond(present.limit, most=MOST_COUNTED)
            present = replace(present, stray=replace(present.stray, count=count))
        self._present = present
        return present.greatest

    def lies_beyond(self, position: Position) -> bool:
        """Whether the last :meth:`greatest_position` left out the record at ``position``."""
        limit, value = self._present.limit, leading(position)
        return limit is not None and type(limit) is type(value) and value > limit  # type: ignore[operator]

    def at_or_below(self, position: Position, limit: Position) -> bool:
        """Whether the record at ``position`` still exists and is at or below ``limit``.

        The source compares them: positions can only be compared in its order.
        """
        there = any(self.positions(first=position, last=position, chunk_rows=1))
        return there and in_order(position) <= in_order(limit)

    def positions(self, *, first: Position, last: Position, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """The positions from ``first`` to ``last``, both included, ascending, in chunks."""
        positions = chain.from_iterable(self.keys(after=None, chunk_rows=_CHUNK_ROWS))
        least, most = in_order(first), in_order(last)
        from_first = dropwhile(lambda each: in_order(each) < least, positions)
        return in_chunks(takewhile(lambda each: in_order(each) <= most, from_first), chunk_rows)

    def newest(self, *, limit: int) -> Sequence[Position]:
        """The greatest positions, ascending, at most ``limit``."""
        return list(deque(chain.from_iterable(self.keys(after=None, chunk_rows=_CHUNK_ROWS)), maxlen=limit))

    def records_at(self, positions: Sequence[Position], *, columns: Sequence[str] | None = None) -> Iterator[Fetched]:
        """The records at these positions, which ascend. Otherwise as :meth:`rows`."""
        if not positions:
            return
        wanted = {position.key for position in positions}
        fetched = self.rows(first=positions[0], last=positions[-1], chunk_rows=_CHUNK_ROWS, columns=columns)
        for frame, rejections in fetched:
            kept = frame[[key in wanted for key in frame.index]]
            yield Fetched(kept, [rejection for rejection in rejections if rejection.key in wanted])

    def keys_for_audit(self, *, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """The positions of all records with a key, also those without an arrival, with constant memory."""
        return self.keys(after=None, chunk_rows=chunk_rows)

    def find(self, texts: Sequence[str]) -> list[Position]:
        """The positions of the records whose keys the ledger may write as one of ``texts``, in no certain order.

        Records without an arrival are among them. Several rows with the same key may be one position or several.
        """
        matching: list[Position] = []
        texts = [*texts, *map(record_key, texts)]
        for chunk in self.keys_for_audit(chunk_rows=_CHUNK_ROWS):
            keys = ledger_texts([position.key for position in chunk])
            wanted = {keys[text] for text in texts if text in keys}
            if wanted:
                matching += [position for position in chunk if position.key in wanted]
        return matching

    def count_without_key(self) -> int:
        """How many records have no key. They cannot be identified and are never predicted."""
        return 0

    def unplaced(self, *, most: int) -> Sequence[Unplaced]:  # noqa: ARG002 -- for kinds that may have some
        """Examples of records that no run can read, with at most ``most`` keys; empty if there are none.

        It may cost a scan of the source: give the source's declaration a short limit with ``within()``. Raises
        TransientError if the limit ends it.
        """
        return ()

    def _greatest(self, limit: Scalar | None) -> Position | None:
        """The greatest position that is at or below the limit."""
        greatest = None
        for chunk in self.keys(after=None, chunk_rows=_CHUNK_ROWS):
            within = chunk if limit is None else [at for at in chunk if leading(at) <= limit]  # type: ignore[operator]
            greatest = within[-1] if within else greatest
        return greatest

    def _has_many_beyond(self, limit: Scalar) -> bool:
        return self._count_beyond(limit, most=MOST_STRAYS + 1) > MOST_STRAYS

    def _count_beyond(self, limit: Scalar, *, most: int) -> int:
        """How many records are beyond the limit, counted up to ``most``."""
        positions = chain.from_iterable(self.keys(after=None, chunk_rows=_CHUNK_ROWS))
        beyond = (at for at in positions if leading(at) > limit)  # type: ignore[operator]
        return sum(1 for _ in islice(beyond, most))


def in_order(position: Position) -> tuple[Scalar, ...]:
    """The values by which Python compares positions: the arrival, if there is one, then the key."""
    return (position.key,) if position.arrival is None else (position.arrival, position.key)


def in_chunks(items: Iterator[T], rows: int) -> Iterator[list[T]]:
    """The items in lists of ``rows``. The last list may be shorter; none is empty."""
    while chunk := list(islice(items, rows)):
        yield chunk
