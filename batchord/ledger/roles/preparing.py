"""Brings a database up to date: its roles, the ledger's tables, and the rights on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.errors import ConfigurationError
from batchord.database.own import LOOK_NOWHERE
from batchord.ledger.failures import translated
from batchord.ledger.migrate import migrate, newest_revision
from batchord.ledger.roles.making import Login, Logins, make_roles
from batchord.ledger.roles.own import LEDGERS_OWN, RESULTS_SCHEMA, SCHEMA, TURN
from batchord.ledger.roles.search_path import mend_search_path

_ADMIN = "BATCHORD_ADMIN_URL"
#: The rights of each role on the ledger's tables. A REVOKE takes back a part of a broader GRANT.
_GRANTS = {
    "ledger": (
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema}, {results} TO {role}",
        "REVOKE INSERT, UPDATE, DELETE ON {schema}.schema_version FROM {role}",
        # The history is written and pruned, but never changed.
        "REVOKE UPDATE ON {schema}.history FROM {role}",
        "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA {schema} TO {role}",
    ),
    "author": (
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema}, {results} TO {role}",
        "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA {schema} TO {role}",
        # They make tables with the owner's rights.
        "REVOKE EXECUTE ON FUNCTION {schema}.add_outputs, {schema}.make_results, {schema}.use_results FROM {role}",
        "REVOKE EXECUTE ON FUNCTION {schema}.make_results_of_columns, {schema}.use_results_of_columns FROM {role}",
    ),
    "source": ("GRANT SELECT ON ALL TABLES IN SCHEMA {schema}, {results} TO {role}",),
}

_VERSIONS = "SELECT version_num FROM batchord.schema_version"
_HAS_LEDGER = "SELECT to_regclass('batchord.schema_version') IS NOT NULL"
#: prepare_database() grants all rights on the tables in one transaction, so one right of each role stands for all.
_IS_PREPARED = """
    SELECT version_num = %(newest)s AND (
        SELECT bool_and(has_table_privilege(role, relation.oid, 'SELECT'))
        FROM pg_catalog.pg_class AS relation, unnest(%(roles)s::text[]) AS role
        WHERE relation.relnamespace = to_regnamespace('batchord') AND relation.relkind IN ('r', 'p', 'v')
          AND relation.relname = ANY(%(own)s)
    ) FROM batchord.schema_version
"""


def is_prepared(roles: DatabaseRoles) -> bool:
    """Whether :func:`prepare_database` has done everything already. It takes a hundredth of that function's time.

    Raises like that function.
    """
    names = [conninfo_to_dict(url).get("user") for url in (roles.ledger, roles.author, roles.source)]
    values = {"newest": newest_revision(), "roles": names, "own": list(LEDGERS_OWN)}
    with _connected(roles.owner, _variable(roles.by_variable(), roles.owner)) as connection:
        if connection.execute(_HAS_LEDGER).fetchone() != (True,):
            return False
        return connection.execute(_IS_PREPARED, values).fetchone() == (True,)


def prepare_database(roles: DatabaseRoles) -> None:
    """Creates the roles if there is a ``roles.admin``, migrates as the owner, and grants the others what they need.

    It may be repeated, and several processes may do it at the same time. Raises ConfigurationError or TransientError
    for an error of the database. The error names the variable whose address did not work.
    """
    if roles.admin is not None:
        logins = _logins(roles)
        with _connected(roles.admin, _ADMIN) as admin:
            make_roles(admin, logins)
    variables = roles.by_variable()
    _migrate_if_older(roles.owner, _variable(variables, roles.owner))
    names = {}
    for variable, url in variables.items():
        if url not in names:
            with _connected(url, variable) as connection, connection.transaction():
                connection.execute(TURN)
                mend_search_path(connection)
                names[url] = _who(connection)
    _grant(roles, names)


def _migrate_if_older(owner: str, variable: str) -> None:
    """Alembic finds out as well that nothing is to be done, but its import takes a quarter of a start."""
    with _connected(owner, variable) as connection:
        is_newest = connection.execute(_HAS_LEDGER).fetchone() == (True,) and (
            connection.execute(_VERSIONS).fetchall() == [(newest_revision(),)]
        )
    if not is_newest:
        migrate(owner, variable=variable)


def _grant(roles: DatabaseRoles, names: dict[str, str]) -> None:
    owner = names[roles.owner]
    purposes = {"source": names[roles.source], "author": names[roles.author], "ledger": names[roles.ledger]}
    # If one role has several purposes, the ledger's rights come last, so that they stay.
    with _connected(roles.owner, _variable(roles.by_variable(), roles.owner)) as connection, connection.transaction():
        connection.execute(TURN)
        connection.execute(LOOK_NOWHERE)
        for purpose, role in purposes.items():
            if role == owner:
                continue
            for grant in ("GRANT USAGE ON SCHEMA {schema}, {results} TO {role}", *_GRANTS[purpose]):
                connection.execute(
                    sql.SQL(grant).format(
                        schema=sql.Identifier(SCHEMA),
                        results=sql.Identifier(RESULTS_SCHEMA),
                        role=sql.Identifier(role),
                    )
                )


def _logins(roles: DatabaseRoles) -> Logins:
    logins = {}
    for purpose, (variable, url) in zip(
        ("owner", "ledger", "author", "source"), roles.by_variable().items(), strict=True
    ):
        address = conninfo_to_dict(url)
        name, password = address.get("user"), address.get("password")
        if not name or not password:
            raise ConfigurationError(
                f"{_ADMIN} cannot make the role of {variable}: its address has no user or no password. Write "
                f"postgresql://user:password@host:5432/database, or remove {_ADMIN}."
            )
        logins[purpose] = Login(name=str(name), password=str(password))
    if len({login.name for login in logins.values()}) < len(logins):
        raise ConfigurationError(
            f"{_ADMIN} makes four roles. Give BATCHORD_OWNER_URL, BATCHORD_DATABASE_URL, BATCHORD_AUTHOR_URL and "
            f"BATCHORD_SOURCE_URL a user each, or remove {_ADMIN}."
        )
    return Logins(**logins)


@contextmanager
def _connected(url: str, variable: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10, prepare_threshold=None) as connection:
            yield connection
    except psycopg.Error as error:
        raise translated(error, url, variable) from None


def _who(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute("SELECT current_user").fetchone()
    assert row is not None  # noqa: S101 -- a value
    return str(row[0])


def _variable(variables: dict[str, str], url: str) -> str:
    """The variable that holds ``url``. Of several it is BATCHORD_DATABASE_URL, to which the others default."""
    ledgers = "BATCHORD_DATABASE_URL"
    return ledgers if variables[ledgers] == url else next(name for name, other in variables.items() if other == url)
