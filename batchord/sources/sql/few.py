"""Statements that choose a few records of a source and read them, for a dry run."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import Position
from batchord.core.text.sql_text import NO_CONDITION, is_condition, lexis_of, parts_of
from batchord.sources.sql.author_query import AsDriverGave
from batchord.sources.sql.statements import Condition, Statements


class FewRecords(Statements):
    """The statements over a source, and those for a few of its records."""

    def newest(self, limit: int, condition: sa.TextClause | None = None) -> sa.Select[Any]:
        """The greatest positions, descending, at most ``limit``; with ``condition``, only of records that meet it."""
        chosen = [] if condition is None else [condition]
        statement = self._positions().where(*self._not_null(), *chosen)
        return statement.order_by(*[column.desc() for column in self._order()]).limit(limit)

    def at(self, positions: Sequence[Position], columns: Sequence[str]) -> sa.Select[Any]:
        """The records at these positions, ascending: the key, then ``columns``."""
        chosen = [self._shown_key, *map(sa.column, columns)]
        here = sa.or_(*[sa.and_(*self._exactly(position)) for position in positions])
        return sa.select(*chosen).select_from(self.records).where(here).order_by(*self._order())

    def key_values(self, rows: int) -> sa.Select[Any]:
        """The columns of a key of several, in at most so many ``rows`` of records that have it."""
        return sa.select(*self.key_columns).where(self.key.is_not(None)).limit(rows)

    def unplaced(self, column: str, rows: int) -> sa.Select[Any]:
        """Keys of at most so many ``rows`` of records whose ``column`` is NULL, in no certain order."""
        return sa.select(self._shown_key).where(self.records.c[column].is_(None)).limit(rows)

    def _exactly(self, position: Position) -> list[Condition]:
        key = self._has_key(position.key, "at_key")
        if self.arrival is None:
            return [key]
        arrival: Condition = self.arrival == _bound("at_arrival", position.arrival)
        return [arrival, key]


def condition_of(written: str, dialect: str) -> sa.TextClause:
    """A condition that a person wrote, in parentheses. Raises ConfigurationError if it is more than a condition."""
    lexis = lexis_of(dialect)
    if not is_condition(written, lexis):
        raise ConfigurationError(f"{written!r} {NO_CONDITION}")
    text = "".join(part.text.replace(":", "\\:") for part in parts_of(written, lexis))
    return sa.text(f"(\n{text}\n)")  # the line breaks end a "--" comment


def _bound(name: str, value: Any) -> sa.BindParameter[Any]:
    return sa.bindparam(name, value, type_=AsDriverGave(), unique=True)
