"""Creates the roles of a database as a superuser: the local stack's own, or that of BATCHORD_ADMIN_URL."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from batchord.core.errors import ConfigurationError
from batchord.database.own import LOOK_NOWHERE
from batchord.ledger.roles.own import LEDGERS_OWN, RESULTS_SCHEMA, SCHEMA, TURN
from batchord.ledger.roles.search_path import mend_search_path

#: Everything that the superuser owns and that no extension owns, in the form for ``ALTER kind name OWNER TO``. A
#: table's own sequences and row type follow the table.
_OWNED = """
    WITH named AS (
        SELECT oid, nspname AS name FROM pg_catalog.pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    ), owned AS (
        SELECT 'pg_namespace'::regclass AS class, oid, 'SCHEMA' AS kind, format('%%I', name) AS place, name AS schema,
               '' AS name
        FROM named JOIN pg_catalog.pg_namespace USING (oid)
        WHERE nspowner = current_user::regrole AND nspname <> 'public'
        UNION ALL
        SELECT 'pg_class'::regclass, relation.oid,
               CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                            WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
               format('%%I.%%I', named.name, relname), named.name, relname
        FROM pg_catalog.pg_class AS relation JOIN named ON named.oid = relnamespace
        WHERE relowner = current_user::regrole AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
        UNION ALL
        SELECT 'pg_proc'::regclass, routine.oid, 'ROUTINE',
               format('%%I.%%I(%%s)', named.name, proname, pg_catalog.pg_get_function_identity_arguments(routine.oid)),
               named.name, proname
        FROM pg_catalog.pg_proc AS routine JOIN named ON named.oid = pronamespace
        WHERE proowner = current_user::regrole
        UNION ALL
        SELECT 'pg_type'::regclass, type.oid, 'TYPE', format('%%I.%%I', named.name, typname), named.name, typname
        FROM pg_catalog.pg_type AS type JOIN named ON named.oid = typnamespace
        WHERE typowner = current_user::regrole AND typtype IN ('e', 'd', 'r')
    )
    SELECT kind, place, schema = %(results)s OR schema = %(ledger)s AND (kind = 'SCHEMA' OR name = ANY(%(own)s))
               AS ledgers
    FROM owned
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS tie
                      WHERE tie.classid = owned.class AND tie.objid = owned.oid AND tie.deptype IN ('e', 'a', 'i')
                        AND (tie.deptype = 'e' OR owned.kind = 'SEQUENCE'))
"""

_READS: tuple[LiteralString, ...] = (
    "GRANT USAGE ON SCHEMA {schema} TO {author}, {source}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {source}",
    "GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {source}",
)
_WRITES: tuple[LiteralString, ...] = (
    "GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {author}",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {author}",
)


@dataclass(frozen=True, kw_only=True)
class Login:
    """A role and its password."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Logins:
    """The login for each kind of work; see :class:`batchord.core.addresses.database_roles.DatabaseRoles`."""

    owner: Login
    ledger: Login
    author: Login
    source: Login

    def __iter__(self) -> Iterator[Login]:
        """All four logins."""
        return iter((self.owner, self.ledger, self.author, self.source))


def make_roles(connection: psycopg.Connection[Any], logins: Logins) -> None:
    """Creates the roles or sets their passwords, and grants them what they need in the connection's database.

    Before these roles existed, the superuser owned everything. The first call hands it over: the ledger's tables to the
    owner, everything else to the author. Nothing is lost. Later calls do not repeat this, so they do not restore rights
    that somebody has revoked since.

    Raises ConfigurationError if the connection is not a superuser's, or if one of the roles is the superuser itself.
    """
    me, is_superuser = _one(connection, "SELECT current_user, current_setting('is_superuser') = 'on'")
    if not is_superuser:
        raise ConfigurationError(
            f"The role {me} of BATCHORD_ADMIN_URL is not a superuser and cannot make the other roles. Remove the "
            "variable, and make the roles as docs/how-to/roles.md says."
        )
    if me in {login.name for login in logins}:
        raise ConfigurationError(
            f"The superuser {me} of BATCHORD_ADMIN_URL is also the role of another variable. Give each of "
            "BATCHORD_OWNER_URL, BATCHORD_DATABASE_URL, BATCHORD_AUTHOR_URL and BATCHORD_SOURCE_URL a role of its own."
        )
    with connection.transaction():
        connection.execute(TURN)
        connection.execute(LOOK_NOWHERE)
        for login in logins:
            _make(connection, login)
        # Create the schemas here, before the migrations, so that the superuser's own search path is mended, too.
        for schema in (SCHEMA, RESULTS_SCHEMA):
            _run(connection, f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {{}}", logins.owner)
        connection.execute("SET LOCAL search_path TO DEFAULT")
        mend_search_path(connection)
        connection.execute(LOOK_NOWHERE)
        # Python steps and the loading of an example have the author's rights on the author's tables.
        _run(connection, "GRANT {} TO {}, {}", logins.author, logins.ledger, logins.owner)
        if not _one(connection, "SELECT count(*) FROM pg_default_acl WHERE defaclrole = %s::regrole", logins.author)[0]:
            _hand_over(connection, logins)
            _grant_on_schemas(connection, logins)
            _grant_by_default(connection, logins, me)


def _make(connection: psycopg.Connection[Any], login: Login) -> None:
    if not _one(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", login.name)[0]:
        _run(connection, "CREATE ROLE {}", login)
    # The verifier that the server stores: the password itself goes neither over the wire nor into a log of statements.
    password = login.password.encode()
    verifier = connection.pgconn.encrypt_password(password, login.name.encode(), b"scram-sha-256").decode()
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}").format(
            sql.Identifier(login.name), sql.Literal(verifier)
        )
    )


def _hand_over(connection: psycopg.Connection[Any], logins: Logins) -> None:
    (database,) = _one(connection, "SELECT current_database()")
    connection.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), sql.Identifier(logins.owner.name))
    )
    owned = connection.execute(
        _OWNED, {"ledger": SCHEMA, "results": RESULTS_SCHEMA, "own": list(LEDGERS_OWN)}
    ).fetchall()
    for kind, place, is_ledgers in owned:
        # The query quotes both.
        new = logins.owner if is_ledgers else logins.author
        connection.execute(
            sql.SQL("ALTER {} {} OWNER TO {}").format(sql.SQL(kind), sql.SQL(place), sql.Identifier(new.name))
        )


def _grant_on_schemas(connection: psycopg.Connection[Any], logins: Logins) -> None:
    """Grants rights on tables that exist already, whoever created them."""
    (database,) = _one(connection, "SELECT current_database()")
    connection.execute(
        sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
            sql.Identifier(database), sql.Identifier(logins.author.name)
        )
    )
    _run(connection, "GRANT CREATE ON SCHEMA public TO {}", logins.author)
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    for (name,) in connection.execute(schemas).fetchall():
        # Also in the ledger's schema: a migration moves the author's tables out of it, and their rights move along.
        grants = _READS if name in (SCHEMA, RESULTS_SCHEMA) else (*_READS, *_WRITES)
        for grant in grants:
            connection.execute(
                sql.SQL(grant).format(
                    schema=sql.Identifier(name),
                    author=sql.Identifier(logins.author.name),
                    source=sql.Identifier(logins.source.name),
                )
            )


def _grant_by_default(connection: psycopg.Connection[Any], logins: Logins, me: str) -> None:
    """Grants rights on tables that the roles create from now on; not on the owner's, which are the ledger's."""
    for maker in (logins.author.name, logins.ledger.name, me):
        more = "" if maker == logins.author.name else ", {author}"
        for grant in (
            f"GRANT USAGE ON SCHEMAS TO {{source}}{more}",
            "GRANT SELECT ON TABLES TO {source}",
            "GRANT SELECT ON SEQUENCES TO {source}",
            *(("GRANT ALL ON TABLES TO {author}", "GRANT ALL ON SEQUENCES TO {author}") if more else ()),
        ):
            connection.execute(
                sql.SQL(f"ALTER DEFAULT PRIVILEGES FOR ROLE {{maker}} {grant}").format(
                    maker=sql.Identifier(maker),
                    author=sql.Identifier(logins.author.name),
                    source=sql.Identifier(logins.source.name),
                )
            )


def _run(connection: psycopg.Connection[Any], statement: Any, *logins: Login) -> None:
    connection.execute(sql.SQL(statement).format(*(sql.Identifier(login.name) for login in logins)))


def _one(connection: psycopg.Connection[Any], query: Any, *values: Any) -> tuple[Any, ...]:
    named = [value.name if isinstance(value, Login) else value for value in values]
    row = connection.execute(query, named or None).fetchone()
    assert row is not None  # noqa: S101 -- a query of an aggregate or of settings returns one row
    return tuple(row)
