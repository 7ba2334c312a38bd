"""What a declared source becomes in a worker: the records, read from where they are.

:class:`SourceReader` is what every source owes discovery. What only some can do is a port of its own, which a reader
gives or does not: :class:`OpenTransactions`, :class:`PieceCounter`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, dropwhile, islice, takewhile
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from batchord.core.run.horizon import MOST_COUNTED, MOST_STRAYS, Present, Stray, greatest_of_the_present, leading
from batchord.core.run.records import Position, Rejection, Scalar
from batchord.core.run.shards import ShardRange

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

#: Positions that a default reads at a time.
_CHUNK_ROWS = 10_000


class Fetched(NamedTuple):
    """Records of a source, as far as they can be had."""

    #: Indexed by key. A column has the same type in all frames of the source.
    frame: "pd.DataFrame"
    #: Records of which a value cannot be read, or not be held without a loss.
    rejections: list[Rejection]


class OpenTransactions(Protocol):
    """Where a source can tell who may still add a record at or below a position that was read before."""

    def running_transactions(self) -> frozenset[str]:
        """Every transaction that may still commit a record at or below a position read before.

        Complete: an unlisted transaction is finished. ``vx:`` begins the name of one that may yet be prepared, and so
        be listed under another name; every other keeps its name to the end.
        """

    def prepared_transactions(self) -> frozenset[str]:
        """Those of :meth:`running_transactions` that outlive their session (two-phase commit); read after them."""


class PieceCounter(Protocol):
    """Where records and ledger are in one place, which can compare their keys by itself."""

    def pieces(self, *, after: Position | None, pipeline: str, step: str, rows: int) -> Iterator[ShardRange] | None:
        """As :meth:`SourceReader.keys`, looked up in the ledger and counted where both are: pieces of ``rows`` records.

        Their ``planned`` are the records without a prediction or a rejection of the step, none perhaps. None when
        these keys cannot be compared with the ledger's texts. Raises as :meth:`SourceReader.keys` does.
        """


class SourceReader(ABC):
    """The records of one step, read from where they are. Reads only, never locks.

    A kind must give :meth:`keys` and :meth:`rows`. All else follows from them, as long as keys come in the order in
    which Python compares positions; a kind that has a faster way, or another order, gives its own.

    Errors of its vendor leave it as ConfigurationError or TransientError.
    """

    #: What the last :meth:`greatest_position` saw.
    _present: Present = Present(greatest=None)

    @property
    def transactions(self) -> OpenTransactions | None:
        """What tells of open transactions; None: nothing does.

        Without it a source has a frontier only by its author's ``settle=``; else every run reads all its keys.
        """
        return None

    @property
    def counter(self) -> PieceCounter | None:
        """What counts new records beside the ledger; None: discovery looks up each key."""
        return None

    @property
    def settles_by_clock(self) -> bool:
        """Whether :meth:`greatest_position` stays ``settle`` behind by itself, judged by the arrival's time."""
        return False

    @property
    def stray(self) -> Stray | None:
        """The record that the last :meth:`greatest_position` passed over, the greatest of them; None for none."""
        return self._present.stray

    @abstractmethod
    def keys(self, *, after: Position | None, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """All positions above ``after`` in ascending order, in chunks, with constant memory; no chunk is empty.

        The scan starts when the first chunk is asked for. A record whose key or arrival is missing has no
        position and is left out; the audit finds it. Raises ConfigurationError for a key that comes twice.
        """

    @abstractmethod
    def rows(
        self, *, first: Position, last: Position, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> Iterator[Fetched]:
        """The records from ``first`` to ``last``, both included, in frames indexed by key, ascending.

        ``columns``: those that are wanted; None: all. No other is read. A source that knows its columns, and has not
        all of these, gives all that it has.

        Each record is in a frame or rejected, and costs no other its place.
        """

    def check(self) -> tuple[str, ...] | None:
        """The columns that it gives, after a look that reads no record; None: they are known when records are read."""
        return None

    def interrupt(self) -> None:  # noqa: B027 -- most have nothing that could be ended
        """Ends what is being read of it at the moment, which raises TransientError where it is read.

        May be called from another thread. What cannot be ended ends by its time limit.
        """

    def greatest_position(self) -> Position | None:
        """The greatest position visible now that the frontier may move up to; None when there is none.

        None as well when positions do not rise as they are taken: then every run scans the whole source.

        Finished before :meth:`OpenTransactions.running_transactions` is called.

        What lies beyond all that can arrive now, such as a time of the future, is passed over: see :attr:`stray`.
        """
        now = datetime.now(UTC)
        present = greatest_of_the_present(self._greatest, self._has_many_beyond, ceiling=None, now=now)
        if present.stray is not None and present.limit is not None:
            count = self._count_beyond(present.limit, most=MOST_COUNTED)
            present = replace(present, stray=replace(present.stray, count=count))
        self._present = present
        return present.greatest

    def lies_beyond(self, position: Position) -> bool:
        """Whether the last :meth:`greatest_position` passed over what stands at ``position``."""
        limit, value = self._present.limit, leading(position)
        return limit is not None and type(limit) is type(value) and value > limit  # type: ignore[operator]

    def at_or_below(self, position: Position, limit: Position) -> bool:
        """Whether the record at ``position`` is still there and stands at or below ``limit``.

        Compared by the source, in whose order alone positions can be compared.
        """
        there = any(self.positions(first=position, last=position, chunk_rows=1))
        return there and in_order(position) <= in_order(limit)

    def positions(self, *, first: Position, last: Position, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """The positions from ``first`` to ``last``, both included, ascending, in chunks."""
        positions = chain.from_iterable(self.keys(after=None, chunk_rows=_CHUNK_ROWS))
        least, most = in_order(first), in_order(last)
        from_first = dropwhile(lambda each: in_order(each) < least, positions)
        return in_chunks(takewhile(lambda each: in_order(each) <= most, from_first), chunk_rows)

    def keys_for_audit(self, *, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """Every record's position, whatever its value, missing arrivals among them, with constant memory."""
        return self.keys(after=None, chunk_rows=chunk_rows)

    def count_without_key(self) -> int:
        """How many records have no key: they cannot be identified, and so never predicted."""
        return 0

    def _greatest(self, limit: Scalar | None) -> Position | None:
        """The greatest position that is at or below the limit."""
        greatest = None
        for chunk in self.keys(after=None, chunk_rows=_CHUNK_ROWS):
            within = chunk if limit is None else [each for each in chunk if leading(each) <= limit]  # type: ignore[operator]
            greatest = within[-1] if within else greatest
        return greatest

    def _has_many_beyond(self, limit: Scalar) -> bool:
        return self._count_beyond(limit, most=MOST_STRAYS + 1) > MOST_STRAYS

    def _count_beyond(self, limit: Scalar, *, most: int) -> int:
        """How many records are beyond the limit, counted up to ``most``."""
        positions = chain.from_iterable(self.keys(after=None, chunk_rows=_CHUNK_ROWS))
        beyond = (each for each in positions if leading(each) > limit)  # type: ignore[operator]
        return sum(1 for _ in islice(beyond, most))


def in_order(position: Position) -> tuple[Scalar, ...]:
    """What Python compares positions by: the arrival, where there is one, then the key."""
    return (position.key,) if position.arrival is None else (position.arrival, position.key)


def in_chunks(items: Iterator[T], rows: int) -> Iterator[list[T]]:
    """The items in lists of ``rows``, the last perhaps shorter; none is empty."""
    while chunk := list(islice(items, rows)):
        yield chunk
