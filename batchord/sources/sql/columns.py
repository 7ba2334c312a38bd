"""Finds the columns of the author's query, and checks that they can identify and order records."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.sources.sql import postgres
from batchord.sources.sql.connections import reading
from batchord.sources.sql.source import SqlSource
from batchord.sources.sql.statements import Statements


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a query."""

    #: The driver's number for the type of each column, in the query's order.
    types: Mapping[str, Any]
    #: On PostgreSQL, for each column that comes unchanged from a table: the table, and the column's number in it.
    origins: Mapping[str, tuple[int, int]]
    #: The type of the leading column, which orders records first: the arrival, or else the key.
    leading_type: Any
    #: The type of the key; of a key of several columns, that of their text.
    key_type: Any
    #: The n of a key of type char(n) on PostgreSQL.
    key_width: Any
    #: Where the leading column comes from, as in ``origins``.
    leading_origin: tuple[int, int] | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.types)


def describe(engine: sa.Engine, statements: Statements, declared: SqlSource) -> Columns:
    """Asks the database for the columns, without reading a row.

    Raises ConfigurationError if the query fails, if key or arrival is not one of its columns, if two columns have the
    same name, or if a type cannot order records. Raises TransientError if the database does not answer.
    """
    is_postgres = engine.dialect.name == "postgresql"
    with reading(engine) as connection, connection.execute(statements.columns()) as result:
        names = tuple(result.keys())
        types = dict(zip(names, (column[1] for column in result.cursor.description), strict=True))
        widths = dict(zip(names, (column[2] for column in result.cursor.description), strict=True))
        origins = _origins(names, result.cursor) if is_postgres else {}
    query_gives = "the query gives " + ", ".join(names)
    for argument, name in [*(("key", name) for name in declared.key_columns), ("arrival", declared.arrival)]:
        if name is not None and name not in types:
            raise ConfigurationError(
                f"The source's {argument}={name!r} is not a column of its query: {query_gives}. Add it to the query, "
                f"or name one of these in {argument}= (case matters)."
            )
    if unknown := [name for name in declared.dtypes if name not in types]:
        raise ConfigurationError(
            f"The source's dtypes= names {unknown[0]!r}, which is not a column of its query: {query_gives}."
        )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ConfigurationError(
            f"The source's query gives the column {twice[0]!r} more than once ({query_gives}): give each a name of its "
            "own (AS)."
        )
    key = declared.key_columns[0]
    leading = declared.arrival or key
    if is_postgres:
        postgres.refuse_order(declared.key_columns, leading, types)
    key_type = types[key] if isinstance(declared.key, str) else postgres.TEXT
    return Columns(
        types=types,
        origins=origins,
        leading_type=key_type if declared.arrival is None else types[leading],
        key_type=key_type,
        key_width=widths[key],
        leading_origin=None if declared.arrival is None and not isinstance(declared.key, str) else origins.get(leading),
    )


def _origins(names: tuple[str, ...], cursor: Any) -> dict[str, tuple[int, int]]:
    result = cursor.pgresult
    places = [(result.ftable(number), result.ftablecol(number)) for number in range(len(names))]
    return {name: place for name, place in zip(names, places, strict=True) if place[0]}
