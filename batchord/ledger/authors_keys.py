"""Whether an author's table can have a key of several columns, and what to change if not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchord.core.run.key_columns import KeyColumn, shows_its_text, takes
from batchord.core.run.results import TableName, quoted
from batchord.ledger.connection import Connection

#: Columns that PostgreSQL has in each table.
_SYSTEMS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
_TEXTS = ("text", "character varying")
#: Whether a unique index over all rows has these columns and no other, in any order.
_UNIQUE = """
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_index AS of
        WHERE of.indrelid = %(table)s AND of.indisunique AND of.indimmediate AND of.indisvalid AND of.indpred IS NULL
          AND of.indexprs IS NULL
          AND (SELECT array_agg(own.attname::text ORDER BY own.attname::text)
               FROM unnest((of.indkey::int2[])[0:of.indnkeyatts - 1]) AS number
               JOIN pg_catalog.pg_attribute AS own ON own.attrelid = of.indrelid AND own.attnum = number)
            = (SELECT array_agg(name ORDER BY name) FROM unnest(%(columns)s::text[]) AS name)) AS is_unique
"""


def stored_name(key: KeyColumn) -> str:
    """The name of a key's column, as the ledger's function makes it for a table of its own."""
    name = f"key_{key.name}" if key.name in _SYSTEMS else key.name
    return name.replace("%", "_").encode()[:63].decode(errors="ignore")


def parts_in(key: KeyColumn, columns: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The columns of the key as the table has them; one that it lacks, as the source has it."""
    names = {stored_name(part): part.type for part in key.parts}
    return tuple((name, columns[name]["type"] if name in columns else kind) for name, kind in names.items())


def text_column_in(key: KeyColumn, columns: Mapping[str, Any]) -> str:
    """The table's column that identifies a row by the key's text; empty if the key's columns have to."""
    column = columns.get(key.name)
    is_fit = column is not None and column["type"] in _TEXTS and column["is_unique"] and column["is_required"]
    return key.name if is_fit else ""


def problems_of_parts(
    connection: Connection,
    table: int,
    name: TableName,
    key: KeyColumn,
    *,
    columns: Mapping[str, Any],
    text_column: str,
) -> Iterator[str]:
    """The problems of a table whose key is several columns, as parts of a sentence."""
    wanted = {stored_name(part): part.type for part in key.parts}
    shown = ", ".join(map(quoted, wanted))
    missing = [f"ADD COLUMN {quoted(each)} {kind}" for each, kind in wanted.items() if each not in columns]
    if missing:
        if not text_column:
            missing.append(f"ADD PRIMARY KEY ({shown})")
        yield f"it lacks columns of the source's key: ALTER TABLE {name} {', '.join(missing)}"
        return
    problems = [*_problems_of_types(name, wanted, columns)]
    yield from problems
    if problems or text_column:
        return
    hidden = [each for each in wanted if not shows_its_text(columns[each]["type"])]
    if hidden:
        yield (
            f"a key with the column {quoted(hidden[0])} of type {wanted[hidden[0]]} needs its text beside it: ALTER "
            f"TABLE {name} ADD COLUMN {quoted(key.name)} text NOT NULL UNIQUE; or make that column a text in the source"
        )
    elif not all(columns[each]["is_required"] for each in wanted) or not _are_unique(connection, table, [*wanted]):
        yield f"{shown} together are no primary key of it: ALTER TABLE {name} ADD PRIMARY KEY ({shown})"


def _problems_of_types(name: TableName, wanted: Mapping[str, str], columns: Mapping[str, Any]) -> Iterator[str]:
    for each, kind in wanted.items():
        own, column = columns[each]["type"], quoted(each)
        if columns[each]["is_generated"]:
            yield f"its key {column} is generated: make it an ordinary column, which takes the source's key"
        if not takes(own, kind):
            yield (
                f"its key {column} is of type {own}, and the source's of type {kind}: ALTER TABLE {name} ALTER COLUMN "
                f"{column} TYPE {kind} USING {column}::text::{kind}"
            )


def _are_unique(connection: Connection, table: int, names: Sequence[str]) -> bool:
    row = connection.execute(_UNIQUE, {"table": table, "columns": list(names)}).fetchone()
    return row is not None and bool(row["is_unique"])
