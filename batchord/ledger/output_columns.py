"""The columns for keys of a model's output: which a table has, which it lacks, and how they are added."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from batchord.core.run.output_types import OutputColumn, lacking, takes_values
from batchord.core.run.results import ResultsTable, TableName, quoted
from batchord.ledger.connection import Connection
from batchord.ledger.results import find_tables
from batchord.ledger.rows import one

#: A type of an extension may have its schema before it.
TYPE = r"pg_catalog.regexp_replace(pg_catalog.format_type(atttypid, atttypmod), '^.*\.', '')"
_TYPES = f"""
    SELECT attname AS name, {TYPE} AS type FROM pg_catalog.pg_attribute
    WHERE attrelid = pg_catalog.to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""
_VECTORS = """
    SELECT own.typname AS name FROM pg_catalog.pg_type AS own
    JOIN pg_catalog.pg_depend AS tie
      ON tie.classid = 'pg_catalog.pg_type'::regclass AND tie.objid = own.oid AND tie.deptype = 'e'
    JOIN pg_catalog.pg_extension AS extension ON extension.oid = tie.refobjid AND extension.extname = 'vector'
"""
_HAS_TABLES = "SELECT pg_catalog.to_regclass('batchord.results') IS NOT NULL AS has_tables"
_ADD = "SELECT batchord.add_outputs(%s, %s)"


def add_outputs(connection: Connection, table: ResultsTable, columns: Sequence[OutputColumn]) -> None:
    """Adds what the table lacks, in a transaction that locks the views. A column of a wider type stays as it is.

    Raises psycopg's errors as the function of the ledger does.
    """
    if not columns and not table.outputs:
        return
    existing = _types(connection, table.name)
    lacks = {column.name for column in lacking(existing, columns)}
    wanted = {each.name: str(each.type) if each.name in lacks else existing[each.name] for each in columns}
    connection.execute(_ADD, [table.id, Jsonb(wanted)])


def problems_of_own(
    connection: Connection, pipeline: str, step: str, columns: Sequence[OutputColumn]
) -> tuple[TableName | None, list[str]]:
    """The table whose name Batchord has chosen, if there is one, and what keeps it from having these columns."""
    if not columns:
        return None, []
    problems = list(problems_of_vectors(connection, columns))
    if not one(connection.execute(_HAS_TABLES).fetchone())["has_tables"]:
        return None, problems
    table = next((each for each in find_tables(connection, pipeline, step) if not each.is_chosen), None)
    if table is None:
        return None, problems
    existing = _types(connection, table.name)
    return table.name, problems + list(problems_of_types(connection, table.name, columns, existing))


def problems_of_types(
    connection: Connection, name: TableName, columns: Sequence[OutputColumn], existing: Mapping[str, str]
) -> Iterator[str]:
    """The columns of a table of Batchord's whose types do not fit, and stay because it has predictions."""
    wrong = [each for each in columns if each.name in existing and not takes_values(existing[each.name], each.type)]
    if not wrong:
        return
    table = sql.Identifier(name.schema, name.table)
    if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(table)).fetchone() is None:
        return
    for column in wrong:
        yield (
            f"its column {quoted(column.name)} holds values of type {existing[column.name]}, not {column.type}: "
            "declare that type, or name another table with into=, or forget the predictions with `batchord reset`"
        )


def problems_of_vectors(
    connection: Connection, columns: Sequence[OutputColumn], existing: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The types that the database lacks."""
    wanted = [each for each in columns if each.type.is_vector and each.name not in (existing or {})]
    if not wanted:
        return
    found = {row["name"] for row in connection.execute(_VECTORS)}
    for column in wanted:
        if column.type.base not in found:
            yield (
                f"its column {quoted(column.name)} needs the type {column.type.base} of the extension pgvector, which "
                "the ledger's database lacks: as an administrator, CREATE EXTENSION vector"
            )


def _types(connection: Connection, name: TableName) -> dict[str, Any]:
    text = place_text(connection, name)
    return {row["name"]: row["type"] for row in connection.execute(_TYPES, [text])}


def place_text(connection: Connection, name: TableName) -> str:
    """The table's name as PostgreSQL reads it."""
    return sql.Identifier(name.schema, name.table).as_string(connection)
