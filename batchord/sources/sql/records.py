"""Reads the records of a source into frames. A record that cannot be read does not affect the others.

A value that the server cannot compute, or the driver cannot convert, ends the whole statement. Then the rest of the
range is read in parts. If a part fails in the same way, it is read in halves, down to the single record.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from batchord.core.declared.limits import MOST_RECORDS, MOST_SHARE
from batchord.core.declared.source_reader import Fetched
from batchord.core.reasons import Reason
from batchord.core.run.composite_keys import CompositeKey
from batchord.core.run.records import Position, Rejection, Scalar, TextKey
from batchord.core.text.counts import counted
from batchord.database.lenient import as_missing, bear_times
from batchord.sources.frames import frame_of
from batchord.sources.series import ColumnType
from batchord.sources.sql.connections import reading
from batchord.sources.sql.failures import UnreadableValue
from batchord.sources.sql.few import FewRecords
from batchord.sources.sql.sizes import bounded, too_large, weight
from batchord.sources.sql.streams import Rows, in_parts


@dataclass(frozen=True, kw_only=True)
class RecordReader:
    """Reads ranges of one source: the key and the wanted columns."""

    engine: sa.Engine
    statements: FewRecords
    #: The name of the key's column, or the names of its columns.
    key: str | tuple[str, ...]
    #: The function that turns what was read into a key; None: the value itself is the key.
    key_of: Callable[[str], TextKey] | None
    #: The types of the wanted columns, in their order.
    types: Mapping[str, ColumnType]
    #: PostgreSQL's numbers for the columns' types; None: another database.
    oids: Mapping[str, int] | None
    #: The most bytes of a record. A larger one is rejected.
    most_bytes: int

    @property
    def _key_columns(self) -> tuple[str, ...]:
        """The columns of a key of several, which are read behind its text."""
        return () if isinstance(self.key, str) else self.key

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*self._key_columns, *self.types)

    def between(self, first: Position, last: Position, chunk_rows: int) -> Iterator[Fetched]:
        """The records from ``first`` to ``last``, both included, ascending; no part is empty.

        Raises ConfigurationError and TransientError. Raises UnreadableValue, a ConfigurationError, if more than a few
        records of a part cannot be read.
        """
        read: set[Scalar] = set()
        try:
            for rows in self._in_one_statement(first, last, chunk_rows):
                fetched = self._fetched(rows)
                read.update(row[0] for row in rows)
                yield fetched
        except UnreadableValue:
            yield from self._in_parts(first, last, chunk_rows, read)

    def at(self, positions: Sequence[Position]) -> Fetched:
        """The records at these positions, in one frame. A value that cannot be read rejects its record alone."""
        if not positions:
            return self._fetched([])
        columns = self._columns
        good: list[Sequence[Any]] = []
        unreadable: list[Rejection] = []
        try:
            good = [row for part in self._rows(self.statements.at(positions, columns), len(positions)) for row in part]
        except UnreadableValue:
            for position in positions:
                try:
                    good += [row for part in self._rows(self.statements.at([position], columns), 1) for row in part]
                except UnreadableValue as error:
                    detail = error.said
                    unreadable.append(Rejection(key=position.key, reason=Reason.UNREADABLE_VALUE, detail=detail))
        frame, rejections = self._fetched(good)
        return Fetched(frame, unreadable + rejections)

    def _in_one_statement(self, first: Position, last: Position, chunk_rows: int) -> Iterator[Rows]:
        return self._rows(self.statements.between(first, last, self._columns), chunk_rows)

    def _rows(self, statement: sa.Select[Any], chunk_rows: int) -> Iterator[Rows]:
        """Rows in parts. Rows that have the same key and follow each other come in the same part, which then is larger.

        Behind its values, each row has its size if it is too large; otherwise None.
        """
        held: list[Sequence[Any]] = []
        if self.oids is not None:
            statement = bounded(statement, self.oids, self.most_bytes)
        with reading(self.engine) as connection:
            for part in in_parts(connection, statement, chunk_rows, _times_as_missing):
                rows: list[Sequence[Any]] = list(part)
                if self._key_columns:
                    rows = _with_key_of_columns(part, len(self._key_columns))
                elif self.key_of is not None:
                    rows = [(self.key_of(row[0]), *row[1:]) for row in part]
                if self.oids is None:
                    rows = [(*row, self._excess(row)) for row in rows]
                if held:
                    again = _rows_of(held[-1][0], rows)
                    held += rows[:again]
                    if again == len(rows):
                        continue
                    yield held
                    rows = rows[again:]
                held = rows
        if held:
            yield held

    def _excess(self, row: Sequence[Any]) -> int | None:
        size = weight(row[1:])
        return size if size > self.most_bytes else None

    def _fetched(self, rows: Rows) -> Fetched:
        """The rows as a frame, without records that are too large."""
        sizes = {row[0]: row[-1] for row in rows if row[-1] is not None}
        # Other rows with the key of such a row are no records of their own.
        fitting = [row[:-1] for row in rows if row[0] not in sizes] if sizes else [row[:-1] for row in rows]
        frame, rejections = frame_of(fitting, self.types, self.key)
        return Fetched(frame, [*rejections, *(too_large(key, size, self.most_bytes) for key, size in sizes.items())])

    def _in_parts(self, first: Position, last: Position, chunk_rows: int, read: set[Scalar]) -> Iterator[Fetched]:
        """The records of the range that are not in ``read``."""
        statement = self.statements.positions_between(first, last)
        with reading(self.engine) as connection:
            for rows in in_parts(connection, statement, chunk_rows):
                left = [self._position(row) for row in rows if row[-1] not in read]
                if left:
                    yield self._halving(left)

    def _position(self, row: Sequence[Any]) -> Position:
        position = self.statements.position(row)
        return position if self.key_of is None else replace(position, key=self.key_of(row[-1]))

    def _halving(self, positions: Sequence[Position]) -> Fetched:
        most = max(MOST_RECORDS, int(len(positions) * MOST_SHARE))
        good: list[Sequence[Any]] = []
        unreadable: list[Rejection] = []
        waiting = [(0, len(positions))]
        while waiting:
            start, stop = waiting.pop()
            try:
                parts = list(self._in_one_statement(positions[start], positions[stop - 1], stop - start))
            except UnreadableValue as error:
                if stop - start > 1:
                    middle = (start + stop) // 2
                    waiting += [(middle, stop), (start, middle)]  # a stack: the first half is taken first
                    continue
                unreadable.append(
                    Rejection(key=positions[start].key, reason=Reason.UNREADABLE_VALUE, detail=error.said)
                )
                if len(unreadable) > most:
                    raise UnreadableValue(
                        f"{len(unreadable)} of {counted(len(positions), 'record')} cannot be read, the last with "
                        f"{', '.join(self._key_columns) or self.key}={positions[start].key!r}. {error}",
                        said=error.said,
                    ) from error
                continue
            good += [row for rows in parts for row in rows]
        frame, rejections = self._fetched(good)
        return Fetched(frame, unreadable + rejections)


def _times_as_missing(adapters: Any) -> None:
    bear_times(adapters, as_missing)


def _with_key_of_columns(rows: Rows, count: int) -> list[Sequence[Any]]:
    """The rows, each with its key and the values of the key's columns as one value."""
    return [(CompositeKey(row[0], values=row[1 : count + 1]), *row[count + 1 :]) for row in rows]


def _rows_of(key: Scalar, rows: Rows) -> int:
    """How many rows at the beginning of ``rows`` have this key."""
    return next((place for place, row in enumerate(rows) if row[0] != key), len(rows))
