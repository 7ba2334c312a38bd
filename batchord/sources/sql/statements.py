"""The SQL that reads a source, built around the author's query as a subquery.

"Above this position" is written in two ways. PostgreSQL and SQLite turn ``(arrival, key) > (a, k)`` into one range of a
composite index. MySQL and MariaDB understand it, but scan the whole table; SQL Server and Oracle do not know it. So all
other databases get ``arrival >= a AND (arrival > a OR key > k)``, which is a range of an index on arrival.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from batchord.core.run.composite_keys import columns_of_key
from batchord.core.run.records import Position, Scalar
from batchord.sources.sql.author_query import KEY_TEXT, AsDriverGave, author_query
from batchord.sources.sql.outcomes import Outcomes
from batchord.sources.sql.source import SqlSource

#: Dialects whose planner uses an index to compare rows.
_ROW_COMPARISON = ("postgresql", "sqlite")

Condition = sa.ColumnElement[bool]


class Statements:
    """SELECT statements over one source in one dialect; values are bound with the driver's own types."""

    def __init__(
        self,
        declared: SqlSource,
        *,
        dialect: str,
        window: tuple[datetime, datetime] | None,
        text_keys: bool = False,
        key_text: str | None = None,
    ) -> None:
        """``text_keys``: whether keys are read as the database's texts.

        ``key_text``: SQL of the text of a key of several columns, which are columns of ``batchord_rows``. Without it,
        the statements serve only to describe the query's columns.
        """
        columns = [*declared.key_columns] if key_text is None else [*declared.key_columns, KEY_TEXT]
        key = columns[-1]
        names = columns if declared.arrival in (None, *columns) else [str(declared.arrival), *columns]
        query = author_query(declared, dialect, window, key_text)
        self.records = query.columns(*map(sa.column, names)).subquery("records")
        self.key: sa.ColumnElement[Any] = self.records.c[key]
        is_apart = declared.arrival not in (None, declared.key)
        self.arrival: sa.ColumnElement[Any] | None = self.records.c[str(declared.arrival)] if is_apart else None
        #: The columns of a key of several.
        self.key_columns = () if key_text is None else tuple(self.records.c[name] for name in columns[:-1])
        self._shown_key = sa.cast(self.key, sa.Text).label("batchord_key") if text_keys else self.key
        #: The column that orders records first.
        self.leading = self.key if self.arrival is None else self.arrival
        self._row_comparison = dialect in _ROW_COMPARISON
        #: PostgreSQL reads a text without a type as a value of the column.
        self._finds_by_columns = dialect == "postgresql"

    def columns(self) -> sa.Select[Any]:
        """The author's query without a row, for its columns."""
        return self.everything().limit(0)

    def greatest(self, cap: sa.ColumnElement[Any] | Scalar | None) -> sa.Select[Any]:
        """The greatest position whose leading column is at most ``cap``."""
        statement = self._positions().where(*self._not_null())
        if cap is not None:
            limit = cap if isinstance(cap, sa.ColumnElement) else _bound("cap", cap)
            statement = statement.where(self.leading <= limit)
        return statement.order_by(*[column.desc() for column in self._order()]).limit(1)

    def future(self, least: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Key and leading column, as texts, of the greatest position whose leading column is beyond ``least``."""
        texts: list[sa.ColumnElement[Any]] = [sa.cast(column, sa.Text) for column in (self.key, self.leading)]
        statement: sa.Select[Any] = sa.select(*texts)
        return statement.where(*self._not_null(), self.leading > least).order_by(self.leading.desc()).limit(1)

    def many_beyond(self, limit: Scalar, rows: int) -> sa.Select[Any]:
        """A row if more than ``rows`` records are beyond ``limit``."""
        beyond = self.leading > _bound("limit", limit)
        return sa.select(sa.literal_column("1")).select_from(self.records).where(beyond).offset(rows).limit(1)

    def count_beyond(self, limit: sa.ColumnElement[Any] | Scalar, most: int) -> sa.Select[Any]:
        """How many records are beyond ``limit``, counted up to ``most``."""
        bound = limit if isinstance(limit, sa.ColumnElement) else _bound("limit", limit)
        one: sa.ColumnElement[Any] = sa.literal_column("1")
        rows = sa.select(one.label("batchord_one")).select_from(self.records)
        beyond = rows.where(*self._not_null(), self.leading > bound).limit(most)
        return sa.select(sa.func.count()).select_from(beyond.subquery("batchord_beyond"))

    def above(self, after: Position | None) -> sa.Select[Any]:
        """All positions above ``after``, ascending. Records with NULL have no position and are left out."""
        return self._above(self._positions(), after).order_by(*self._order())

    def _above(self, statement: sa.Select[Any], after: Position | None) -> sa.Select[Any]:
        statement = statement.where(*self._not_null())
        if after is None:
            return statement
        return statement.where(self._beyond(after, "after", upwards=True, inclusive=False))

    def longer_key(self, after: Position | None, characters: int) -> sa.Select[Any]:
        """A row if a key above ``after`` has more ``characters``."""
        return self._above(sa.select(sa.true()), after).where(sa.func.char_length(self.key) > characters).limit(1)

    def piece_ends(self, after: Position | None, rows: int, pieces: int) -> sa.Select[Any]:
        """The first and the last position of each piece above ``after``, with their places from 0 on.

        A piece has ``rows`` positions. There are at most ``pieces`` of them.
        """
        met = self._met(after, rows * pieces)
        order, key = list(met.c), list(met.c)[-1]
        place = (sa.func.row_number().over(order_by=order) - 1).label("batchord_place")
        final = sa.func.lead(key).over(order_by=order).is_(None).label("batchord_final")
        placed = sa.select(*order, place, final).subquery("placed")
        edge = placed.c.batchord_place % rows
        wanted = sa.or_(edge == 0, edge == rows - 1, placed.c.batchord_final)
        *columns, _ = placed.c
        return sa.select(*columns).where(wanted).order_by(placed.c.batchord_place)

    def fresh_in_pieces(self, after: Position | None, rows: int, pieces: int, outcomes: Outcomes) -> sa.Select[Any]:
        """For each of the same pieces with new records: its number, and how many records the ledger does not have."""
        met = self._met(after, rows * pieces)
        order, key = list(met.c), list(met.c)[-1]
        place = sa.func.row_number().over(order_by=order) - 1
        # PostgreSQL divides whole numbers without a remainder; SQLAlchemy's own division would round once more.
        piece = place.op("/", precedence=8)(sa.bindparam("rows", rows, sa.BigInteger, unique=True))
        # The ledger's collation: the source's column may ignore upper and lower case.
        text = sa.collate(sa.cast(key, sa.Text), "default").label("text")
        # Another row with the same key is the same record.
        again = sa.func.coalesce(sa.func.lag(key).over(order_by=order) == key, sa.false()).label("again")
        placed = sa.select(piece.label("piece"), key.label("key"), text, again).subquery("placed")
        return (
            sa.select(placed.c.piece, sa.func.count().label("fresh"))
            .where(~placed.c.again, *[~outcome for outcome in outcomes.of(placed.c.key, placed.c.text)])
            .group_by(placed.c.piece)
        )

    def _met(self, after: Position | None, rows: int) -> sa.Subquery:
        order = self._order()
        return self._above(sa.select(*order), after).order_by(*order).limit(rows).subquery("met")

    def with_key(self, values: Sequence[Scalar], rows: int) -> sa.Select[Any]:
        """Positions of at most so many ``rows`` whose key equals one of ``values``."""
        equal = [self._has_key(value, "wanted") for value in values]
        return self._positions().where(sa.or_(*equal)).limit(rows)

    def _has_key(self, value: Scalar, name: str) -> Condition:
        """The record has this key. Of a key of several columns, PostgreSQL finds the record by an index on these."""
        equal: Condition = self.key == _bound(name, value)
        if not self.key_columns or not self._finds_by_columns:
            return equal
        texts = columns_of_key(str(value), len(self.key_columns)) or ()
        own = [column == _bound(name, text) for column, text in zip(self.key_columns, texts, strict=False)]
        return sa.and_(*own, equal)

    def with_text(self, text: str, rows: int) -> sa.Select[Any]:
        """Positions of at most so many ``rows`` whose key is ``text`` when it is cast to text. It reads all keys."""
        return self._positions().where(sa.cast(self.key, sa.Text) == _bound("wanted", text)).limit(rows)

    def with_beginning(self, text: str, rows: int) -> sa.Select[Any]:
        """Positions of at most so many ``rows`` whose key, cast to text, begins with ``text``. It reads all keys."""
        beginning = sa.func.left(sa.cast(self.key, sa.Text), len(text))
        return self._positions().where(beginning == _bound("wanted", text)).limit(rows)

    def without_arrival(self) -> sa.Select[Any] | None:
        """The positions of records whose arrival is NULL, by key; None if the key orders the source."""
        if self.arrival is None:
            return None
        return self._positions().where(self.arrival.is_(None), self.key.is_not(None)).order_by(self.key)

    def without_key(self) -> sa.Select[Any]:
        """The number of records without a key."""
        return sa.select(sa.func.count()).select_from(self.records).where(self.key.is_(None))

    def everything(self) -> sa.Select[Any]:
        """All records with all columns."""
        return sa.select(sa.text("records.*")).select_from(self.records)

    def where_null(self, column: str) -> sa.Select[Any]:
        """The records whose ``column`` is NULL."""
        return sa.select(sa.literal_column("1")).select_from(self.records).where(sa.column(column).is_(None))

    def between(self, first: Position, last: Position, columns: Sequence[str]) -> sa.Select[Any]:
        """The records from ``first`` to ``last``, both included, ascending: the key, then ``columns``.

        Records without an arrival come after all others, as in an audit.
        """
        chosen = [self._shown_key, *map(sa.column, columns)]
        return self._between(sa.select(*chosen).select_from(self.records), first, last)

    def positions_between(self, first: Position, last: Position) -> sa.Select[Any]:
        """The positions of the same records in the same order."""
        return self._between(self._positions(), first, last)

    def _between(self, statement: sa.Select[Any], first: Position, last: Position) -> sa.Select[Any]:
        lower = self._beyond(first, "first", upwards=True, inclusive=True)
        upper = self._beyond(last, "last", upwards=False, inclusive=True)
        if self.arrival is None or last.arrival is not None:
            return statement.where(lower, upper).order_by(*self._order())
        undated = sa.and_(self.arrival.is_(None), upper)
        if first.arrival is None:
            return statement.where(undated, lower).order_by(self.key)
        dated_first = sa.case((self.arrival.is_(None), 1), else_=0)
        return statement.where(sa.or_(lower, undated)).order_by(dated_first, *self._order())

    def at_or_below(self, position: Position, limit: Position) -> sa.Select[Any]:
        """One row if the record at ``position`` exists and is at or below ``limit``; otherwise none."""
        return (
            self._positions()
            .where(
                self._beyond(position, "from", upwards=True, inclusive=True),
                self._beyond(position, "to", upwards=False, inclusive=True),
                self._beyond(limit, "limit", upwards=False, inclusive=True),
            )
            .limit(1)
        )

    def position(self, row: Sequence[Any]) -> Position:
        """The position that a row of such a statement holds."""
        return Position(arrival=None if self.arrival is None else row[0], key=row[-1])

    def _positions(self) -> sa.Select[Any]:
        return sa.select(self._shown_key) if self.arrival is None else sa.select(self.arrival, self._shown_key)

    def _order(self) -> list[sa.ColumnElement[Any]]:
        return [self.key] if self.arrival is None else [self.arrival, self.key]

    def _not_null(self) -> list[Condition]:
        return [column.is_not(None) for column in self._order()]

    def _beyond(self, position: Position, name: str, *, upwards: bool, inclusive: bool) -> Condition:
        """The records on one side of ``position``; ``name`` keeps bound names apart and readable."""
        key = _bound(f"{name}_key", position.key)
        if self.arrival is None or position.arrival is None:
            return _compare(self.key, key, upwards=upwards, inclusive=inclusive)
        arrival = _bound(f"{name}_arrival", position.arrival)
        if self._row_comparison:
            pair, bound = sa.tuple_(self.arrival, self.key), sa.tuple_(arrival, key)
            return _compare(pair, bound, upwards=upwards, inclusive=inclusive)
        return sa.and_(
            _compare(self.arrival, arrival, upwards=upwards, inclusive=True),
            sa.or_(
                _compare(self.arrival, arrival, upwards=upwards, inclusive=False),
                _compare(self.key, key, upwards=upwards, inclusive=inclusive),
            ),
        )


def _compare(left: Any, right: Any, *, upwards: bool, inclusive: bool) -> Condition:
    condition: Condition
    if upwards:
        condition = left >= right if inclusive else left > right
    else:
        condition = left <= right if inclusive else left < right
    return condition


def _bound(name: str, value: Scalar) -> sa.BindParameter[Any]:
    return sa.bindparam(name, value, type_=AsDriverGave(), unique=True)
