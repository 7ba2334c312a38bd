"""Which columns of the author's query can never be NULL on PostgreSQL.

A column of the query may be a table's that is NOT NULL, and yet NULL behind an outer join or in a rollup. So the
server's planner is asked: from PostgreSQL 17 on it knows that ``column IS NULL`` finds nothing, joins considered.
Where it cannot tell, and the plan has neither outer joins nor grouping sets, the table's own word counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.adapters.sql_source.statements import Statements

#: Kinds of joins that make up rows, as EXPLAIN calls them.
_OUTER = ("Left", "Right", "Full")
#: A constraint that was added as NOT VALID says nothing of the rows before it.
_NOT_NULL = sa.text("""
    SELECT own.attrelid::bigint AS table, own.attnum::int AS number FROM pg_catalog.pg_attribute AS own
    WHERE own.attnotnull AND own.attrelid = ANY(CAST(:tables AS oid[])) AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS constraint_
        WHERE constraint_.conrelid = own.attrelid AND constraint_.contype = 'n'
          AND constraint_.conkey = ARRAY[own.attnum] AND NOT constraint_.convalidated)
""")


def never_null(
    connection: sa.Connection, statements: Statements, names: Sequence[str], origins: Mapping[str, tuple[int, int]]
) -> frozenset[str]:
    """Those of the columns ``names`` that are never NULL; ``origins``: table and number of those that are a table's.

    Reads no record. Raises SQLAlchemyError.
    """
    if not names:
        return frozenset()
    filled = {name for name in names if _finds_nothing(_plan(connection, statements.where_null(name)))}
    tables = sorted({origins[name][0] for name in names if name in origins and name not in filled})
    if tables and not _makes_nulls(_plan(connection, statements.everything())):
        sure = {(row[0], row[1]) for row in connection.execute(_NOT_NULL, {"tables": tables})}
        filled |= {name for name in names if origins.get(name) in sure}
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
