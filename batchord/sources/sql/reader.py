"""Reads records from a SQL database; implements the port of sources."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import sqlalchemy as sa

from batchord.core.declared.source_reader import Fetched, SourceReader, Unplaced
from batchord.core.errors import ConfigurationError
from batchord.core.run.horizon import Present
from batchord.core.run.key_columns import KeyColumn
from batchord.core.run.records import Position, TextKey
from batchord.core.run.shards import ShardRange
from batchord.sources.series import ColumnType
from batchord.sources.sql import postgres
from batchord.sources.sql.bounds import Bounds, Limits
from batchord.sources.sql.columns import Columns, describe
from batchord.sources.sql.composite import key_parts, key_text
from batchord.sources.sql.connections import BOUNDS, held, reading
from batchord.sources.sql.dtypes import asked_types
from batchord.sources.sql.engine import engine_for, source_url
from batchord.sources.sql.failures import one_reason
from batchord.sources.sql.few import FewRecords, condition_of
from batchord.sources.sql.finding import Finding
from batchord.sources.sql.frame_types import frame_types, unplaced_keys
from batchord.sources.sql.keys import is_read_as_text, text_key
from batchord.sources.sql.look import Look, value_of
from batchord.sources.sql.pieces import Pieces
from batchord.sources.sql.positions import without_repeated
from batchord.sources.sql.records import RecordReader
from batchord.sources.sql.source import SqlSource
from batchord.sources.sql.streams import in_parts


def open_source(
    declared: SqlSource,
    *,
    default_url: str,
    window: tuple[datetime, datetime] | None = None,
    limits: Limits | None = None,
) -> "SqlRecords":
    """A reader for the declared source, in its own database or else in ``default_url``. It connects at its first read.

    ``window`` fills ``:window_start`` and ``:window_end``. ``limits`` hold if the source has none of its own.

    Raises ConfigurationError for an address that cannot be used, for a missing window, and for a database other than
    PostgreSQL without ``settle=``.
    """
    bounds = Bounds(declared, limits or Limits())
    return SqlRecords(declared, engine_for(source_url(declared, default_url), bounds), window)


class SqlRecords(SourceReader):
    """Reads the records of one query, on PostgreSQL in READ ONLY transactions.

    Every method raises ConfigurationError if the database refuses the query or its columns cannot identify and order
    records, and TransientError if the database does not answer.
    """

    def __init__(self, declared: SqlSource, engine: sa.Engine, window: tuple[datetime, datetime] | None) -> None:
        self._declared = declared
        self._engine = engine
        self._is_postgres = engine.dialect.name == "postgresql"
        if not self._is_postgres and declared.settle is None:
            raise ConfigurationError(
                f"A source on {engine.dialect.name} cannot show which transactions are still open. Give settle=, the "
                "longest time from taking a position to its commit becoming visible, e.g. settle=timedelta(minutes=5)."
            )
        self._present = Present(greatest=None)
        self._author = FewRecords(declared, dialect=engine.dialect.name, window=window)
        self._window = window

    @cached_property
    def _columns(self) -> Columns:
        with self._declared.naming_its_place("The source"):
            return describe(self._engine, self._author, self._declared)

    @cached_property
    def _statements(self) -> FewRecords:
        declared, dialect = self._declared, self._engine.dialect
        if not isinstance(declared.key, str):
            text = key_text(dialect, declared.key_columns, self._columns.types)
            return FewRecords(declared, dialect=dialect.name, window=self._window, key_text=text)
        if self._key_of is None:
            return self._author
        return FewRecords(declared, dialect=dialect.name, window=self._window, text_keys=True)

    @cached_property
    def _key_of(self) -> Callable[[str], TextKey] | None:
        """The function that turns a text into a key; None if keys are the driver's values."""
        if not self._is_postgres or not is_read_as_text(self._columns.key_type):
            return None
        return text_key(self._columns.key_type, self._columns.key_width)

    @property
    def settles_by_clock(self) -> bool:
        """See the port. If not, a position settles ``settle=`` after it was read, and its reader must wait so long."""
        return self._is_postgres and postgres.settles_by_clock(self._columns.leading_type, self._declared.settle)

    def check(self) -> tuple[str, ...]:
        """See the port."""
        return self._columns.names

    @property
    def key_type(self) -> str | None:
        """See the port. Only PostgreSQL's types are known."""
        return postgres.name_of_key_type(self._columns.key_type) if self._is_postgres else None

    @cached_property
    def key_parts(self) -> tuple[KeyColumn, ...]:
        """See the port."""
        if isinstance(self._declared.key, str):
            return ()
        return key_parts(self._engine, self._statements, self._declared.key_columns, self._columns.types)

    @property
    def transactions(self) -> Self | None:
        """See the port. PostgreSQL shows them, unless the author gives ``settle=``."""
        return self if self._is_postgres and self._declared.settle is None else None

    @property
    def counter(self) -> Self | None:
        """See the port. Only a source in the ledger's database has it."""
        elsewhere = self._declared.url is not None or self._declared.url_env is not None
        return self if self._is_postgres and not elsewhere else None

    def lies_beyond(self, position: Position) -> bool:
        """See the port."""
        limit, value = self._present.limit, value_of(self._columns, position)
        return limit is not None and type(limit) is type(value) and value > limit  # type: ignore[operator]

    def interrupt(self) -> None:
        """See the port."""
        bounds: Bounds = self._engine.get_execution_options()[BOUNDS]
        bounds.interrupt()

    def greatest_position(self) -> Position | None:
        """See the port. The position stays at or below what a clock, a sequence or the column's type allows at present.

        It is None if uuids or texts order records without ``settle=``: the next one may come anywhere among them.
        """
        self._present = Present(greatest=None)
        if self._is_postgres:
            if not postgres.rises(self._columns.leading_type, self._declared.settle):
                return None
            if self.transactions is None:  # otherwise, who asks for them hears of it
                with reading(self._engine) as connection:
                    postgres.refuse_standby(connection)
        look = Look(
            engine=self._engine, statements=self._statements, columns=self._columns, settle=self._declared.settle
        )
        self._present = look.present()
        return self._present.greatest

    def together(self) -> AbstractContextManager[object]:
        """See the port."""
        return held(self._engine)

    def running_transactions(self) -> frozenset[str]:
        """See the port. ``vx:`` names a running transaction, ``px:`` a prepared one."""
        with reading(self._engine) as connection:
            return postgres.running(connection)

    def at_or_below(self, position: Position, limit: Position) -> bool:
        """See the port."""
        self._refuse_other_order(position)
        self._refuse_other_order(limit)
        _ = self._columns
        with reading(self._engine) as connection:
            return connection.execute(self._statements.at_or_below(position, limit)).first() is not None

    def keys(self, *, after: Position | None, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """See the port. Records whose key or arrival is NULL have no position; the audit finds them."""
        self._refuse_other_order(after)
        _ = self._columns
        with reading(self._engine) as connection:
            yield from self._positions(connection, self._statements.above(after), chunk_rows)

    def pieces(self, *, after: Position | None, pipeline: str, step: str, rows: int) -> Iterator[ShardRange] | None:
        """See the port."""
        self._refuse_other_order(after)
        longest = postgres.longest_key(self._columns.key_type)
        if longest == 0:
            return None
        if longest:
            with reading(self._engine) as connection:
                if connection.execute(self._statements.longer_key(after, longest)).first() is not None:
                    return None
        return Pieces(self._engine, self._statements, pipeline, step, rows).above(after, self.key_type)

    def rows(
        self, *, first: Position, last: Position, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> Iterator[Fetched]:
        """See the port. Several rows with the same key are one record, which is rejected."""
        yield from self._records(columns).between(first, last, chunk_rows)

    def records_at(self, positions: Sequence[Position], *, columns: Sequence[str] | None = None) -> Iterator[Fetched]:
        """See the port. All are in one frame."""
        yield self._records(columns).at(positions)

    def newest(self, *, limit: int) -> Sequence[Position]:
        """See the port."""
        return self._chosen(self._statements.newest(limit), limit)

    @property
    def conditions(self) -> Self:
        """See the port. A condition is SQL."""
        return self

    def newest_with(self, condition: str, *, limit: int) -> Sequence[Position]:
        """See the port."""
        names = ", ".join(self._columns.names)  # if the query itself is wrong, this raises
        chosen = self._statements.newest(limit, condition_of(condition, self._engine.dialect.name))
        try:
            return self._chosen(chosen, limit)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"The condition {condition!r} cannot be used: {one_reason(error)}. The query's columns: {names}."
            ) from error

    def _chosen(self, statement: sa.Select[Any], limit: int) -> Sequence[Position]:
        _ = self._columns
        with reading(self._engine) as connection:
            parts = list(self._positions(connection, statement, limit))
        return [position for part in parts for position in part][::-1]

    def _records(self, columns: Sequence[str] | None) -> RecordReader:
        return RecordReader(
            engine=self._engine,
            statements=self._statements,
            key=self._declared.key if isinstance(self._declared.key, str) else self._declared.key_columns,
            key_of=self._key_of,
            types=self._types(columns),
            oids=self._columns.types if self._is_postgres else None,
            most_bytes=self._declared.max_bytes,
        )

    def _types(self, columns: Sequence[str] | None) -> dict[str, ColumnType]:
        """The types of the wanted columns, without the key."""
        names = [name for name in self._columns.names if name not in self._declared.key_columns]
        if columns is not None and set(columns) <= set(self._columns.names):
            names = [name for name in names if name in columns]
        if not self._is_postgres:
            return asked_types(names, self._declared.dtypes)
        return frame_types(self._engine, self._statements, self._columns, self._declared, names)

    def positions(self, *, first: Position, last: Position, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """See the port."""
        _ = self._columns
        with reading(self._engine) as connection:
            yield from self._positions(connection, self._statements.positions_between(first, last), chunk_rows)

    def keys_for_audit(self, *, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """See the port. Positions ascend; records without an arrival come last, in chunks of their own."""
        _ = self._columns
        # Two statements, so that NULLs need no sorting. One snapshot, so that no record moves from one to the other.
        with reading(self._engine, snapshot=True) as connection:
            yield from self._positions(connection, self._statements.above(None), chunk_rows)
            undated = self._statements.without_arrival()
            if undated is not None:
                yield from self._positions(connection, undated, chunk_rows)

    def find(self, texts: Sequence[str]) -> list[Position]:
        """See the port. It asks for the keys by their values first, so that the database can use an index."""
        _ = self._columns
        finding = Finding(engine=self._engine, statements=self._statements, columns=self._columns, key_of=self._key_of)
        return finding.find(texts, scan=super().find)

    def unplaced(self, *, most: int) -> Sequence[Unplaced]:
        """See the port. It asks nothing if the database shows that neither column can be NULL."""
        found = unplaced_keys(self._engine, self._statements, self._columns, self._declared, most)
        return [
            Unplaced(column=column, keys=tuple(keys if self._key_of is None else map(self._key_of, keys)))
            for column, keys in found
        ]

    def count_without_key(self) -> int:
        """How many records have a NULL key. They cannot be predicted; the audit reports their number."""
        _ = self._columns
        with reading(self._engine) as connection:
            return connection.scalar(self._statements.without_key()) or 0

    def _positions(
        self, connection: sa.Connection, statement: sa.Select[Any], chunk_rows: int
    ) -> Iterator[Sequence[Position]]:
        parts = in_parts(connection, statement, chunk_rows)
        return without_repeated(parts, self._key_of, alone=self._author.arrival is None)

    def _refuse_other_order(self, after: Position | None) -> None:
        """Raises for a position from before ``arrival=`` was added or removed: it would compare as NULL."""
        if after is not None and (after.arrival is None) != (self._author.arrival is None):
            raise ConfigurationError(
                f"The stored position {after.to_json()} does not fit arrival={self._declared.arrival!r}: the source "
                "had another order when the position was stored. Rename the step, so that it starts from the "
                "beginning."
            )
