"""Rights that the database's roles have but do not need. Batchord only reports them: one role may do everything."""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.rows import dict_row

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.ledger.failures import translated
from batchord.ledger.roles.own import LEDGERS_OWN, RESULTS_SCHEMA, SCHEMA

#: Who uses the address of a variable, for people.
_WHO = {
    "BATCHORD_OWNER_URL": "migrations",
    "BATCHORD_DATABASE_URL": "workers and commands",
    "BATCHORD_AUTHOR_URL": "Sql steps",
    "BATCHORD_SOURCE_URL": "sources",
}
_ADVICE = "Give each kind of work a role of its own: docs/how-to/roles.md."
_POWERS = """
    SELECT current_user AS role, EXISTS (SELECT FROM pg_catalog.pg_roles AS any_role
                                         WHERE any_role.rolsuper AND pg_has_role(any_role.oid, 'MEMBER')) AS superuser,
           me.rolcreaterole AS makes_roles, me.rolbypassrls AS bypasses,
           pg_has_role('pg_execute_server_program', 'USAGE') AS executes,
           pg_has_role('pg_read_server_files', 'USAGE') OR pg_has_role('pg_write_server_files', 'USAGE') AS reads_files,
           coalesce(has_table_privilege(runs, 'INSERT, UPDATE, DELETE'), false) AS writes_ledger,
           coalesce(has_schema_privilege(home, 'CREATE'), false) AS alters_ledger, runs IS NOT NULL AS has_ledger,
           EXISTS (SELECT FROM pg_catalog.pg_class AS relation
                   JOIN pg_catalog.pg_namespace AS schema ON schema.oid = relation.relnamespace
                   WHERE relation.relkind IN ('r', 'p', 'f') AND schema.nspname !~ '^pg_'
                     AND schema.nspname NOT IN ('information_schema', %(schema)s, %(results)s)
                     AND has_table_privilege(relation.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS writes
    FROM pg_catalog.pg_roles AS me, to_regclass('batchord.runs') AS runs, to_regnamespace('batchord') AS home
    WHERE me.rolname = current_user
"""
_FOREIGN_TABLES = """
    SELECT relation.relname AS name FROM pg_catalog.pg_class AS relation
    WHERE relation.relnamespace = to_regnamespace('batchord') AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND relation.relname <> ALL(%(own)s)
    ORDER BY relation.relname
"""


def remarks(roles: DatabaseRoles, *, connect_timeout: int = 10) -> list[str]:
    """A sentence for each right that a role does not need, and for each table in the wrong schema.

    Raises ConfigurationError or TransientError for an error of the database.
    """
    variables = roles.by_variable()
    sentences: list[str] = []
    foreign_tables: list[str] = []
    with_ledger: dict[bool, list[str]] = {True: [], False: []}
    for url in dict.fromkeys(variables.values()):
        used = [name for name, address in variables.items() if address == url]
        try:
            with psycopg.connect(
                url, autocommit=True, connect_timeout=connect_timeout, prepare_threshold=None, row_factory=dict_row
            ) as connection:
                row = connection.execute(_POWERS, {"schema": SCHEMA, "results": RESULTS_SCHEMA}).fetchone()
                assert row is not None  # noqa: S101 -- the current user is always a row of pg_roles
                sentences += _sentences(row, used)
                with_ledger[row["has_ledger"]] += used
                tables = connection.execute(_FOREIGN_TABLES, {"own": list(LEDGERS_OWN)})
                foreign_tables = [table["name"] for table in tables]
        except psycopg.Error as error:
            # Name the variable that people set: the other variables default to its address.
            variable = "BATCHORD_DATABASE_URL" if "BATCHORD_DATABASE_URL" in used else used[0]
            raise translated(error, url, variable) from None
    if all(with_ledger.values()):
        sentences.append(
            f"The ledger is in the database of {', '.join(with_ledger[True])}, but not in that of "
            f"{', '.join(with_ledger[False])}. Give all of them the same database."
        )
    return sentences + [
        f"{SCHEMA}.{name} does not belong to the ledger, and a name without a schema now means the schema public. "
        f"Move it with ALTER TABLE {SCHEMA}.{name} SET SCHEMA public, after you have moved or renamed any "
        f"public.{name}."
        for name in foreign_tables
    ]


def _sentences(row: dict[str, Any], used: list[str]) -> list[str]:
    powers = list(_powers(row, set(used)))
    if not powers:
        return []
    for_whom = ", ".join(_WHO[name] for name in used)
    return [f"The role {row['role']} ({for_whom}) {'; '.join(powers)}. {_ADVICE}"]


def _powers(row: dict[str, Any], used: set[str]) -> Iterator[str]:
    if used == {"BATCHORD_OWNER_URL"}:
        if row["superuser"]:
            yield "is a superuser, but needs only to own the schema batchord"
        return
    if row["superuser"]:
        yield "is a superuser: its SQL can read files of the database's machine and start programs there"
        return
    if row["executes"] or row["reads_files"]:
        yield "can read or write files of the database's machine, or start programs there"
    if row["makes_roles"]:
        yield "can make roles"
    if row["bypasses"]:
        yield "bypasses row-level security"
    if row["alters_ledger"]:
        yield "can alter the ledger's tables"
    elif row["writes_ledger"] and used & {"BATCHORD_AUTHOR_URL", "BATCHORD_SOURCE_URL"}:
        yield "can write to the ledger's tables"
    if row["writes"] and "BATCHORD_SOURCE_URL" in used:
        yield "can write to your tables"
