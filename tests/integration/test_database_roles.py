"""Each kind of work has a role of its own in the database, and each role may do its work and nothing else."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from batchord import Sql
from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.errors import ConfigurationError, SqlFailed
from batchord.core.run.leases import StepLease
from batchord.core.run.runs import Kind, NewRun, NewStep, StepState
from batchord.ledger import Ledger
from batchord.ledger.roles.own import LEDGERS_OWN
from batchord.ledger.roles.powers import remarks
from batchord.ledger.roles.preparing import prepare_database
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import open_source
from tests.database_roles import all_one
from tests.integration.step_contexts import step_context

#: What no statement of an author's, and no query of a source, may do.
OF_THE_SERVER = (
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/hostname')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/batchord-roles'",
    "SELECT rolpassword FROM pg_authid",
    "CREATE ROLE mine SUPERUSER",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER SYSTEM SET work_mem = '1MB'",
)
OF_THE_LEDGER = (
    "UPDATE batchord.runs SET state = 'succeeded'",
    "INSERT INTO batchord.pipelines (name) VALUES ('mine')",
    "DELETE FROM batchord.earlier_predictions",
    "CREATE TABLE batchord_results.mine ()",
    "SELECT batchord.make_results('mine', 'predict', 'id', 'bigint')",
    "SELECT batchord.show_results()",
    "TRUNCATE batchord.rejections",
    "CREATE TABLE batchord.mine ()",
    "ALTER TABLE batchord.steps ADD COLUMN mine int",
    "DROP SCHEMA batchord CASCADE",
    "SET ROLE batchord_ledger",
    "SET ROLE batchord_owner",
    "SET SESSION AUTHORIZATION batchord",
)
REFUSED = r"denied|must be|cannot|Only roles"


@pytest.fixture
def lease(database_roles: DatabaseRoles) -> Iterator[StepLease]:
    """A worker's lease on a Sql step, taken by the ledger's role."""
    ledger = Ledger(database_roles.ledger)
    step = NewStep(name="load", kind="sql", after=(), state=StepState.READY)
    run = ledger.runs.open(NewRun(pipeline="orders", kind=Kind.MANUAL, trigger="call", steps=(step,))).run
    with ledger.runs.lock(run.id) as locked:
        assert locked.start()
    claimed = ledger.runs.claim_step(run.id, "load", lease_seconds=60, worker="test:1")
    assert claimed is not None
    yield claimed
    ledger.close()


def execute(url: str, lease: StepLease, *statements: str) -> None:
    """Executes a Sql step's statements by the role of the address."""
    Sql("load", statements).execute(step_context(url, lease))


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    """The rows of a query, if it has any, in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def keys(url: str, query: str) -> list[object]:
    """The keys that a source of this query gives by the role of the address."""
    source = open_source(SqlSource(query, key="id", settle=timedelta(0)), default_url=url)
    try:
        return [each.key for chunk in source.keys(after=None, chunk_rows=10) for each in chunk]
    finally:
        dispose_engines()


def test_a_sql_step_writes_neither_the_ledger_nor_the_machine(database_roles: DatabaseRoles, lease: StepLease) -> None:
    """Also not after RESET ROLE, because the session itself belongs to the author's role."""
    for statement in (*OF_THE_SERVER, *OF_THE_LEDGER):
        with pytest.raises(SqlFailed, match=REFUSED):
            execute(database_roles.author, lease, "RESET ROLE", statement)
    assert ask(database_roles.ledger, "SELECT committed FROM batchord.steps") == [(None,)]


def test_the_sources_role_reads_and_does_nothing_else(database_url: str, database_roles: DatabaseRoles) -> None:
    """Even outside of the read-only transactions in which sources are read."""
    ask(database_url, "CREATE TABLE orders (id int)")
    for statement in (*OF_THE_SERVER, *OF_THE_LEDGER, "CREATE TABLE mine ()", "DELETE FROM orders"):
        with pytest.raises(psycopg.Error, match=REFUSED):
            ask(database_roles.source, statement)
    with pytest.raises(ConfigurationError, match="permission denied for function pg_read_file"):
        keys(database_roles.source, "SELECT pg_read_file('/etc/hostname') AS id")


def test_workers_and_migrations_do_nothing_to_the_machine(database_roles: DatabaseRoles) -> None:
    """Workers write the ledger's rows. Only the owner changes its tables."""
    for url in (database_roles.ledger, database_roles.owner):
        for statement in OF_THE_SERVER:
            with pytest.raises(psycopg.Error, match=REFUSED):
                ask(url, statement)
    for statement in (each for each in OF_THE_LEDGER if each.split()[0] in ("ALTER", "CREATE", "DROP")):
        with pytest.raises(psycopg.Error, match=REFUSED):
            ask(database_roles.ledger, statement)


def test_a_sql_step_makes_fills_and_changes_the_authors_tables(database_roles: DatabaseRoles, lease: StepLease) -> None:
    """In public, where a source finds them; it may read the ledger, and its end is committed with its work."""
    execute(
        database_roles.author,
        lease,
        "CREATE TABLE reviews (id int)",
        "INSERT INTO reviews SELECT count(*) FROM batchord.runs",
        "ALTER TABLE reviews ADD COLUMN body text",
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.orders AS SELECT 7 AS id",
    )
    assert ask(database_roles.ledger, "SELECT committed IS NOT NULL FROM batchord.steps") == [(True,)]
    assert keys(database_roles.source, "SELECT id FROM public.reviews") == [1]
    assert keys(database_roles.source, "SELECT id FROM shop.orders") == [7]


@pytest.mark.parametrize("maker", ["ledger", "superuser"])
def test_a_table_that_another_role_made_is_the_authors_too(
    database_url: str, database_roles: DatabaseRoles, lease: StepLease, maker: str
) -> None:
    """A Python step made it, or a person with psql: Sql steps write it and sources read it."""
    ask({"ledger": database_roles.ledger, "superuser": database_url}[maker], "CREATE TABLE orders (id serial)")
    execute(database_roles.author, lease, "INSERT INTO orders DEFAULT VALUES")
    assert keys(database_roles.source, "SELECT id FROM orders") == [1]


def test_a_function_of_an_authors_is_called_by_nobody_else(
    database_url: str, database_roles: DatabaseRoles, lease: StepLease
) -> None:
    """A function that fits a call better than PostgreSQL's own would run with the caller's rights."""
    execute(
        database_roles.author,
        lease,
        "CREATE TABLE callers (name text)",
        "CREATE FUNCTION unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO public.callers VALUES (current_user); RETURN NEXT NULL; END'",
        "CREATE FUNCTION format(text, name) RETURNS text LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO public.callers VALUES (current_user); RETURN NULL; END'",
        "GRANT ALL ON callers TO PUBLIC",
    )
    ledger = Ledger(database_roles.ledger)
    ledger.pipelines.standings(["orders"])
    ledger.close()
    prepare_database(DatabaseRoles(**{**database_roles.__dict__, "admin": database_url}))
    assert ask(database_roles.author, "SELECT name FROM callers") == []


def test_what_was_revoked_stays_revoked(database_url: str, database_roles: DatabaseRoles) -> None:
    """The next deploy gives no rights back on the author's own tables."""
    ask(database_roles.author, "CREATE TABLE salaries (id int)")
    ask(database_roles.author, "REVOKE ALL ON salaries FROM batchord_source")
    admin = DatabaseRoles(**{**database_roles.__dict__, "admin": database_url})
    prepare_database(admin)
    with pytest.raises(ConfigurationError, match="permission denied for table salaries"):
        keys(database_roles.source, "SELECT id FROM salaries")


@pytest.mark.parametrize("name", ["batchord", "elsewhere"])
def test_a_name_without_a_schema_never_means_the_ledgers(empty_database_url: str, name: str, lease: StepLease) -> None:
    """Where one role does everything, and is called like the ledger's schema, or has it in its path."""
    url = empty_database_url
    looks_through = {"batchord": '"$user", public', "elsewhere": 'batchord, "else%where", public'}[name]
    database = url.rpartition("/")[2]
    ask(url, "CREATE SCHEMA batchord")
    ask(url, 'CREATE SCHEMA "else%where"')
    ask(url, f"ALTER ROLE batchord IN DATABASE {database} SET search_path = {looks_through}")
    home = "else%where" if name == "elsewhere" else "public"
    elsewhere = Sql("load", ["CREATE TABLE reviews (id int)", "INSERT INTO reviews VALUES (3)"], url=url)
    elsewhere.execute(step_context(url, lease))
    assert ask(url, f'TABLE "{home}".reviews') == [(3,)]
    assert keys(url, "SELECT id FROM reviews") == [3]
    assert ask(url, "SELECT current_schema()") == [("batchord",)]
    prepare_database(all_one(url))
    assert ask(url, "SELECT current_schema()") == [(home,)], "and psql"


def test_the_list_of_the_ledgers_own_is_true(database_url: str) -> None:
    """Objects that are not on it are treated as an author's."""
    names = ask(
        database_url,
        "SELECT relname FROM pg_class WHERE relnamespace = 'batchord'::regnamespace AND relkind IN ('r', 'v') "
        "UNION SELECT proname FROM pg_proc WHERE pronamespace = 'batchord'::regnamespace",
    )
    assert sorted(str(name) for (name,) in names) == sorted(LEDGERS_OWN)


def test_roles_of_ones_own_give_no_cause_for_remarks(database_roles: DatabaseRoles) -> None:
    """Each may do what it needs."""
    assert remarks(database_roles) == []


def test_one_role_for_everything_works_and_is_remarked_on(database_url: str, database_roles: DatabaseRoles) -> None:
    """A superuser's powers, or those of one who owns the ledger; nothing is refused."""
    (superuser,) = remarks(all_one(database_url))
    assert superuser.startswith(
        "The role batchord (migrations, workers and commands, Sql steps, sources) is a superuser"
    )
    prepare_database(all_one(database_roles.owner))
    ask(database_url, "CREATE TABLE orders (id int)")
    (owner,) = remarks(all_one(database_roles.owner))
    assert "can alter the ledger's tables" in owner
    assert "can write to your tables" in owner
    assert "docs/how-to/roles.md" in owner
    two = DatabaseRoles(**{**database_roles.__dict__, "author": database_roles.ledger, "source": database_roles.ledger})
    (ledger,) = remarks(two)
    assert "can write to the ledger's tables" in ledger


def test_an_admin_who_cannot_make_roles_is_reported(database_url: str, database_roles: DatabaseRoles) -> None:
    """The error says what to do. Nothing was changed."""
    with pytest.raises(ConfigurationError, match="is not a superuser"):
        prepare_database(DatabaseRoles(**{**database_roles.__dict__, "admin": database_roles.owner}))
    with pytest.raises(ConfigurationError, match="is also the role of another variable"):
        prepare_database(DatabaseRoles(**{**database_roles.__dict__, "source": database_url, "admin": database_url}))
    same = {**database_roles.__dict__, "source": database_roles.author, "admin": database_url}
    with pytest.raises(ConfigurationError, match="a user each"):
        prepare_database(DatabaseRoles(**same))
