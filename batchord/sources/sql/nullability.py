"""Finds the columns of the author's query that are never NULL on PostgreSQL.

If a table's column is NOT NULL, the query's column is never NULL, unless the query's plan has outer joins or grouping
sets, which add NULLs. For these, for views and for expressions, the planner is asked: from PostgreSQL 17 on it knows
whether ``column IS NULL`` finds nothing, even with joins. All other columns may be NULL.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from batchord.sources.sql.statements import Statements

#: Kinds of joins that add rows of NULLs, as EXPLAIN names them.
_OUTER = ("Left", "Right", "Full")
#: The columns of tables, and whether each is NOT NULL. A constraint that was added as NOT VALID does not cover older
#: rows. A view has no such constraints.
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
    """The columns of ``names`` that are never NULL. ``origins``: table and number of columns that come from a table.

    Reads no record. Raises SQLAlchemyError.
    """
    if not names:
        return frozenset()
    tables = sorted({origins[name][0] for name in names if name in origins})
    not_null = {(row.table, row.number): row.filled for row in connection.execute(_TABLES, {"tables": tables})}
    declared = {name: not_null.get(origins.get(name, (0, 0))) for name in names}
    makes_nulls = True in declared.values() and _makes_nulls(_plan(connection, statements.everything()))
    filled = {name for name, is_filled in declared.items() if is_filled and not makes_nulls}
    # A column that its table declares as nullable needs no question.
    unclear = [name for name, is_filled in declared.items() if is_filled is None or (is_filled and makes_nulls)]
    filled |= {name for name in unclear if _finds_nothing(_plan(connection, statements.where_null(name)))}
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
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
