"""The text of a key of several columns, as the source's database makes it, and the types of its columns.

See :mod:`batchord.core.run.composite_keys` for the text. Equal values must give the same text, and other values another
one, whatever the session's settings are; those that matter are set by :mod:`batchord.database.texts`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.core.run.key_columns import KeyColumn, type_of_keys
from batchord.sources.sql import postgres
from batchord.sources.sql.connections import reading
from batchord.sources.sql.few import FewRecords

_BOOL, _FLOAT4, _FLOAT8, _NUMERIC = 16, 700, 701, 1700
#: ``pg_type.oid`` of types whose texts hold neither a colon nor a backslash: int8, int2, int4, oid, uuid, date, bool.
_PLAIN = frozenset({20, 21, 23, 26, 2950, 1082, _BOOL})
#: Equal numbers may have several texts: 1.5 and 1.50, 0 and -0.
_ONE_TEXT = {
    _NUMERIC: "CAST(trim_scale({}) AS text)",
    _FLOAT4: "CAST({} + CAST(0 AS real) AS text)",
    _FLOAT8: "CAST({} + CAST(0 AS double precision) AS text)",
}
#: Types with equal values of different texts. Their columns in a table of predictions are texts.
_SEVERAL_TEXTS = frozenset({1186, 3802})
#: A colon in SQL that is given to SQLAlchemy, which takes others for the beginning of a parameter.
_COLON = "'\\:'"
#: The numbers of FLOAT and DOUBLE in the drivers for MySQL: their texts are rounded.
_MYSQL_FLOATS = (4, 5)
_MYSQL = ("mysql", "mariadb")
#: How many records show the types of a key's columns, in a database that does not report them.
_SAMPLE = 100


def key_text(dialect: sa.Dialect, names: Sequence[str], types: Mapping[str, Any]) -> str:
    """SQL of the key's text over columns of ``batchord_rows``; NULL if one of them is. Its colons are escaped.

    Raises ConfigurationError for a database or a type for which it is not known.
    """
    mark = "`" if dialect.name in _MYSQL else '"'
    # SQLAlchemy's own quotes double each %, and so does its text.
    quoted = {name: mark + name.replace(mark, mark * 2) + mark for name in names}
    columns = {name: f"batchord_rows.{text}".replace(":", "\\:") for name, text in quoted.items()}
    if dialect.name == "postgresql":
        parts = [_on_postgres(column, types[name]) for name, column in columns.items()]
        return f" || {_COLON} || ".join(parts)
    if dialect.name == "sqlite":
        parts = [_escaped(_on_sqlite(column), "char(92)", "||") for column in columns.values()]
        return f" || {_COLON} || ".join(parts)
    if dialect.name in _MYSQL:
        for name in names:
            if types[name] in _MYSQL_FLOATS:
                raise ConfigurationError(
                    f"The key's column {name!r} is a float, which this database writes as a rounded text: convert it "
                    f"in the query, such as CAST({name} AS DECIMAL(20, 6)) AS {name}."
                )
        texts = [f"CAST({column} AS CHAR CHARACTER SET utf8mb4)" for column in columns.values()]
        backslash = "CONVERT(CHAR(92) USING utf8mb4)"
        parts = [_escaped(text, backslash, ",") for text in texts]
        together = f", {_COLON}, ".join(parts)
        return f"CONCAT({together}) COLLATE utf8mb4_bin"
    one = " || ':' || ".join(names)
    raise ConfigurationError(
        f"A source on {dialect.name} cannot have a key of several columns: make one of them in the query, such as "
        f"{one} AS record_key, and name that in key=."
    )


def key_parts(
    engine: sa.Engine, statements: FewRecords, names: Sequence[str], types: Mapping[str, Any]
) -> tuple[KeyColumn, ...]:
    """The columns of the key with their types for a table of predictions. Outside of PostgreSQL, records show these."""
    if engine.dialect.name == "postgresql":
        return tuple(KeyColumn(name=name, type=_name_of_type(types[name])) for name in names)
    with reading(engine) as connection:
        rows = connection.execute(statements.key_values(_SAMPLE)).all()
    return tuple(
        KeyColumn(name=name, type=type_of_keys(row[place] for row in rows)) for place, name in enumerate(names)
    )


def _name_of_type(oid: int) -> str:
    if oid == _BOOL:
        return "boolean"
    return "text" if oid in _SEVERAL_TEXTS else postgres.name_of_key_type(oid)


def _on_postgres(column: str, oid: int) -> str:
    if oid in _PLAIN:
        return f'CAST({column} AS text) COLLATE "C"'
    if oid in _ONE_TEXT:
        return f'{_ONE_TEXT[oid].format(column)} COLLATE "C"'
    return _escaped(f'CAST({column} AS text) COLLATE "C"', "chr(92)", "||")


def _on_sqlite(column: str) -> str:
    # CAST would round a number and take bytes for a text.
    return f"CASE WHEN typeof({column}) IN ('real', 'blob') THEN quote({column}) ELSE CAST({column} AS text) END"


def _escaped(text: str, backslash: str, concat: str) -> str:
    """SQL of ``text`` with a backslash before each backslash and each colon."""

    def both(first: str, second: str) -> str:
        return f"{first} || {second}" if concat == "||" else f"CONCAT({first}, {second})"

    once = f"replace({text}, {backslash}, {both(backslash, backslash)})"
    return f"replace({once}, {_COLON}, {both(backslash, _COLON)})"
