"""Which columns the author's query gives, and whether they can identify and order records."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.adapters.sql_source import postgres
from app.adapters.sql_source.connections import reading
from app.adapters.sql_source.statements import Statements
from app.core.errors import ConfigurationError
from app.core.sources import SqlSource


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a query."""

    names: tuple[str, ...]
    #: The driver's number for the type of what orders records: the arrival, or else the key.
    leading_type: Any
    #: The same of the key's.
    key_type: Any


def describe(engine: sa.Engine, statements: Statements, declared: SqlSource) -> Columns:
    """Asks the database, without reading a row.

    Raises ConfigurationError when the query fails, key or arrival are not among its columns, a name comes
    twice, or a type cannot order records; TransientError when the database does not answer.
    """
    with reading(engine) as connection, connection.execute(statements.columns()) as result:
        names = tuple(result.keys())
        types = dict(zip(names, (each[1] for each in result.cursor.description), strict=True))
    given = "the query gives " + ", ".join(names)
    for argument, name in (("key", declared.key), ("arrival", declared.arrival)):
        if name is not None and name not in types:
            raise ConfigurationError(
                f"The source's {argument}={name!r} is no column of its query: {given}. Add it to the query, or name "
                f"one of these in {argument}= (upper and lower case count)."
            )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ConfigurationError(
            f"The source's query gives the column {twice[0]!r} more than once ({given}): name them apart with AS."
        )
    leading = declared.arrival or declared.key
    if engine.dialect.name == "postgresql":
        postgres.refuse_order(declared.key, types[declared.key], leading, types[leading])
    return Columns(names=names, leading_type=types[leading], key_type=types[declared.key])
