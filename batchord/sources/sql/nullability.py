"""Which columns of the author's query can never be NULL on PostgreSQL.

A table's word that its column is NOT NULL counts, unless the query's plan has outer joins or grouping sets, which make
up NULLs. There, in views, and of expressions the planner is asked: from PostgreSQL 17 on it knows that ``column IS
NULL`` finds nothing, joins considered. What it does not know may be NULL.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from batchord.sources.sql.statements import Statements

#: Kinds of joins that make up rows, as EXPLAIN calls them.
_OUTER = ("Left", "Right", "Full")
#: The columns of tables, and whether each is NOT NULL. A constraint that was added as NOT VALID says nothing of rows
#: that were there before, and a view says nothing at all.
_TABLES = sa.text("""
    SELECT own.attrelid::bigint AS table, own.attnum::int AS number, own.attnotnull AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS constraint_
        WHERE constraint_.conrelid = own.attrelid AND constraint_.contype = 'n'
          AND constraint_.conkey = ARRAY[own.attnum] AND NOT constraint_.convalidated) AS filled
    FROM pg_catalog.pg_attribute AS own JOIN pg_catalog.pg_class AS whole ON whole.oid = own.attrelid
    WHERE own.attrelid = ANY(CAST(:tables AS oid[])) AND whole.relkind <> 'v'
""")


def never_null(
    connection: sa.Connection, statements: Statements, names: Sequence[str], origins: Mapping[str, tuple[int, int]]
) -> frozenset[str]:
    """Those of the columns ``names`` that are never NULL; ``origins``: table and number of those that are a table's.

    Reads no record. Raises SQLAlchemyError.
    """
    if not names:
        return frozenset()
    tables = sorted({origins[name][0] for name in names if name in origins})
    said = {(row.table, row.number): row.filled for row in connection.execute(_TABLES, {"tables": tables})}
    says = {name: said.get(origins.get(name, (0, 0))) for name in names}
    makes_nulls = True in says.values() and _makes_nulls(_plan(connection, statements.everything()))
    filled = {name for name, word in says.items() if word and not makes_nulls}
    # Nobody needs to ask for what a table says may be NULL.
    open_ones = [name for name, word in says.items() if word is None or (word and makes_nulls)]
    filled |= {name for name in open_ones if _finds_nothing(_plan(connection, statements.where_null(name)))}
    return frozenset(filled)


def _plan(connection: sa.Connection, statement: sa.Select[Any]) -> dict[str, Any]:
    compiled = statement.compile(dialect=connection.dialect)
    explained = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled.string}", compiled.construct_params())
    plan: dict[str, Any] = explained.scalar_one()[0]["Plan"]
    return plan


def _finds_nothing(plan: Mapping[str, Any]) -> bool:
    return plan["Node Type"] == "Result" and plan.get("One-Time Filter") == "false" and "Plans" not in plan


def _makes_nulls(plan: Mapping[str, Any]) -> bool:
    return any(node.get("Join Type") in _OUTER or "Grouping Sets" in node for node in _nodes(plan))


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)
