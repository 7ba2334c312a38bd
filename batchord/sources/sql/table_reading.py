"""Reads from PostgreSQL's catalogs what a table is like. No row of the table is read."""

import difflib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.sources.sql.bounds import Bounds, Limits
from batchord.sources.sql.connections import reading
from batchord.sources.sql.engine import engine_for, source_url
from batchord.sources.sql.source import SqlSource
from batchord.sources.sql.tables import Column, Index, Table, TableKind

#: How long one question to the catalogs may take, and may wait for a lock.
_LIMIT = timedelta(seconds=30)
#: How many tables an error names.
_MOST_NAMED = 10
_PART = r'"(?:[^"]|"")+"|[^."]+'
_NAME = re.compile(rf"\s*(?:(?P<schema>{_PART})\.)?(?P<table>{_PART})\s*")
_FOUND = sa.text("""
    SELECT relation.oid::bigint AS oid, home.nspname AS schema, relation.relname AS name, relation.relkind AS kind,
           quote_ident(home.nspname) AS quoted_schema, quote_ident(relation.relname) AS quoted_name,
           has_schema_privilege(home.oid, 'USAGE') AS schema_usable, quote_ident(current_user) AS role
    FROM pg_catalog.pg_class AS relation JOIN pg_catalog.pg_namespace AS home ON home.oid = relation.relnamespace
    WHERE relation.relkind IN ('r', 'p', 'v', 'm', 'f') AND relation.relname = ANY(CAST(:names AS text[]))
      AND CASE WHEN CAST(:schemas AS text[]) IS NULL THEN pg_table_is_visible(relation.oid)
               ELSE home.nspname = ANY(CAST(:schemas AS text[])) END
    ORDER BY relation.relname <> CAST(:first AS text) LIMIT 1
""")
_TABLES = sa.text("""
    SELECT quote_ident(home.nspname) || '.' || quote_ident(relation.relname)
    FROM pg_catalog.pg_class AS relation JOIN pg_catalog.pg_namespace AS home ON home.oid = relation.relnamespace
    WHERE relation.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relation.relispartition
      AND home.nspname !~ '^pg_' AND home.nspname NOT IN ('information_schema', 'batchord', 'batchord_results')
    ORDER BY 1 LIMIT 1000
""")
_COLUMNS = sa.text("""
    SELECT own.attname AS name, quote_ident(own.attname) AS quoted,
           format_type(own.atttypid, own.atttypmod) AS type, base.typname AS base, base.typcategory AS category,
           (own.attnotnull OR declared.typnotnull) AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_constraint AS rule
               WHERE rule.conrelid = own.attrelid AND rule.contype = 'n' AND rule.conkey = ARRAY[own.attnum]
                 AND NOT rule.convalidated) AS not_null,
           CASE WHEN own.attgenerated = '' THEN pg_get_expr(filled.adbin, filled.adrelid) END AS default,
           EXISTS (
               SELECT FROM pg_catalog.pg_depend AS owned
               JOIN pg_catalog.pg_sequence AS rule ON rule.seqrelid = owned.objid
               WHERE owned.classid = 'pg_catalog.pg_class'::regclass
                 AND owned.refclassid = 'pg_catalog.pg_class'::regclass
                 AND owned.refobjid = own.attrelid AND owned.refobjsubid = own.attnum
                 AND owned.deptype IN ('a', 'i') AND rule.seqcache = 1 AND rule.seqincrement > 0 AND NOT rule.seqcycle
           ) AS rises,
           has_column_privilege(own.attrelid, own.attnum, 'SELECT') AS readable,
           (SELECT max(known.avg_width) FROM pg_catalog.pg_stats AS known
            JOIN pg_catalog.pg_class AS relation ON relation.oid = own.attrelid AND relation.relname = known.tablename
            JOIN pg_catalog.pg_namespace AS home ON home.oid = relation.relnamespace
                 AND home.nspname = known.schemaname
            WHERE known.attname = own.attname) AS width
    FROM pg_catalog.pg_attribute AS own
    JOIN pg_catalog.pg_type AS declared ON declared.oid = own.atttypid
    JOIN pg_catalog.pg_type AS base ON base.oid = coalesce(nullif(declared.typbasetype, 0), declared.oid)
    LEFT JOIN pg_catalog.pg_attrdef AS filled ON filled.adrelid = own.attrelid AND filled.adnum = own.attnum
    WHERE own.attrelid = CAST(:oid AS oid) AND own.attnum > 0 AND NOT own.attisdropped
    ORDER BY own.attnum
""")
_INDEXES = sa.text("""
    SELECT own.indisunique AS unique, own.indisprimary AS primary, way.amname = 'btree' AS ordered,
           ARRAY(SELECT keyed.attname::text
                 FROM unnest(CAST(own.indkey AS int2[])) WITH ORDINALITY AS part (number, place)
                 LEFT JOIN pg_catalog.pg_attribute AS keyed
                        ON keyed.attrelid = own.indrelid AND keyed.attnum = part.number AND part.number > 0
                 WHERE part.place <= own.indnkeyatts ORDER BY part.place) AS columns
    FROM pg_catalog.pg_index AS own
    JOIN pg_catalog.pg_class AS relation ON relation.oid = own.indexrelid
    JOIN pg_catalog.pg_am AS way ON way.oid = relation.relam
    WHERE own.indrelid = CAST(:oid AS oid) AND own.indisvalid AND own.indpred IS NULL
    ORDER BY own.indisprimary DESC, own.indnkeyatts, relation.relname
""")


def describe_table(database_url: str, name: str) -> Table:
    """The table ``name``, written as in SQL: ``reviews``, ``shop.reviews``, ``"Odd name"``.

    ``database_url``: the address for the role that reads sources. A name in capitals is also found if it is written
    without quotes. Raises ConfigurationError if there is no such table or the database refuses the connection,
    TransientError if it does not answer.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ConfigurationError(f'{name!r} is not the name of a table: write schema.table, or "Odd name" in quotes.')
    names, schemas = _readings(parts["table"]), None if parts["schema"] is None else _readings(parts["schema"])
    unread = SqlSource("SELECT 1 AS id", key="id", statement_timeout=_LIMIT, lock_timeout=_LIMIT)
    engine = engine_for(source_url(unread, database_url), Bounds(unread, Limits()))
    with reading(engine) as connection:
        found = connection.execute(_FOUND, {"names": names, "schemas": schemas, "first": names[0]}).first()
        if found is None:
            raise ConfigurationError(_unknown(name, connection.scalars(_TABLES).all()))
        columns = connection.execute(_COLUMNS, {"oid": found.oid}).mappings().all()
        indexes = connection.execute(_INDEXES, {"oid": found.oid}).mappings().all()
    return Table(
        schema=found.schema,
        name=found.name,
        quoted=f"{found.quoted_schema}.{found.quoted_name}",
        quoted_schema=found.quoted_schema,
        kind=TableKind(found.kind),
        columns=tuple(Column(**column) for column in columns),
        indexes=tuple(_index(index) for index in indexes),
        role=found.role,
        schema_usable=found.schema_usable,
    )


def _index(row: Any) -> Index:
    return Index(**{**row, "columns": tuple(row["columns"])})


def _readings(part: str) -> list[str]:
    """The names that a part may mean: as PostgreSQL reads it, then as it is written."""
    part = part.strip()
    if part.startswith('"'):
        return [part[1:-1].replace('""', '"')]
    return [part.lower(), part]


def _unknown(name: str, tables: Sequence[str]) -> str:
    plain = {table.rpartition(".")[2]: table for table in tables}
    wanted = name.rpartition(".")[2].lower()
    alike = [plain[close] for close in difflib.get_close_matches(wanted, plain, n=3)]
    if alike:
        return f"There is no table {name}. Did you mean {' or '.join(alike)}?"
    if not tables:
        return f"There is no table {name}: the database has no table of yours."
    more = ", …" if len(tables) > _MOST_NAMED else ""
    return f"There is no table {name}. The tables are: {', '.join(tables[:_MOST_NAMED])}{more}"
