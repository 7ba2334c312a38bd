"""A home of a release that had one role, the superuser `batchord`, comes up without loss."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.localstack import Server, Servers, start_servers, stop_servers, superuser_url
from app.localstack.embedded import ensure
from app.localstack.home import open_home, write_private
from app.localstack.postgres import Postgres
from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.ledger import migrate
from batchord.ledger.roles.powers import remarks
from batchord.ledger.roles.preparing import prepare_database
from tests.database_roles import all_one

#: Without schemas, as authors write: all of it came to lie in the schema batchord.
_AUTHORS = """
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, felt mood);
    CREATE INDEX ON reviews (body);
    CREATE TABLE parts (id serial, day date) PARTITION BY RANGE (day);
    CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE VIEW short AS SELECT id FROM reviews WHERE length(body) < 5;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM reviews;
    CREATE SEQUENCE numbers;
    CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
    CREATE TABLE runs_of_mine (id int);
    CREATE TABLE taken (id int);
    CREATE TABLE public.taken (word text);
    CREATE SCHEMA shop;
    CREATE TABLE shop.orders (id int);
    INSERT INTO reviews (body, felt) VALUES ('fine', 'good'), ('a bore', 'bad');
    INSERT INTO shop.orders VALUES (7);
"""
_LEDGERS = """
    INSERT INTO batchord.predictions (pipeline, step, record_key, model_version, label, run_id, shard, attempt)
    VALUES ('reviews', 'predict', '1', 'v1', 'good', gen_random_uuid(), 0, 1)
"""


@pytest.fixture
def old_home(own_home: Path) -> Iterator[Path]:
    """As the release before left it: four passwords, one role, its tables, and its server stopped."""
    home = open_home(own_home)
    old = {name: secrets.token_hex(24) for name in ("postgres", "redis", "s3_access_key_id", "s3_secret_access_key")}
    write_private(home / "passwords.json", json.dumps(old))
    server = Postgres(home=home, password=old["postgres"], durable=False)
    url = server.url(ensure(home, server))
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(url, "0012")
        connection.execute(_AUTHORS)
        connection.execute(_LEDGERS)
        assert connection.execute("SELECT 'reviews'::regclass = 'batchord.reviews'::regclass").fetchone() == (True,)
    stop_servers(home)
    return home


def ask(url: str | None, query: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    assert url is not None
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def up(home: Path) -> Servers:
    """The part of `batchord up` that prepares the database."""
    servers = start_servers(home, needs=[Server.POSTGRES], durable=False)
    prepare_database(servers.database_roles())
    return servers


def test_an_old_home_comes_up_with_all_that_it_held(old_home: Path) -> None:
    """The ledger is the owner's, what an author made is the author's and lies in public; a second start is the same."""
    before = json.loads((old_home / "passwords.json").read_text())
    servers = up(old_home)
    assert before.items() <= json.loads((old_home / "passwords.json").read_text()).items()
    assert ask(servers.database_url, "SELECT record_key, label FROM batchord.predictions") == [("1", "good")]
    assert ask(servers.source_url, "SELECT body, felt::text FROM reviews ORDER BY id") == [
        ("fine", "good"),
        ("a bore", "bad"),
    ]
    assert ask(servers.source_url, "SELECT id FROM shop.orders") == [(7,)]
    added = ask(servers.author_url, "INSERT INTO reviews (body) VALUES (shout('new')) RETURNING id, body")
    assert added == [(3, "NEW")]
    assert ask(servers.author_url, "SELECT id, n, nextval('numbers') FROM short, counted WHERE id = 1") == [(1, 0, 1)]
    ask(servers.author_url, "INSERT INTO parts (day) VALUES ('2026-02-01'); DROP TABLE runs_of_mine, shop.orders")
    owners = ask(
        servers.database_url,
        "SELECT DISTINCT nspname, pg_get_userbyid(relowner) FROM pg_class JOIN pg_namespace AS n "
        "ON n.oid = relnamespace WHERE nspname IN ('batchord', 'public') AND relname <> 'taken' ORDER BY 1",
    )
    assert owners == [("batchord", "batchord_owner"), ("public", "batchord_author")]
    (remark,) = remarks(servers.database_roles())
    assert "batchord.taken does not belong to the ledger" in remark
    assert up(old_home) == servers


def test_a_new_homes_superuser_puts_nothing_among_the_ledgers_tables(own_home: Path) -> None:
    """It is called like the ledger's schema, which comes to be later."""
    servers = start_servers(own_home, needs=[Server.POSTGRES], durable=False)
    prepare_database(servers.database_roles())
    ask(superuser_url(own_home), "CREATE TABLE reviews AS SELECT 1 AS id")
    assert ask(servers.source_url, "SELECT id FROM public.reviews") == [(1,)]


def test_one_role_becomes_four(empty_database_url: str, servers: Servers) -> None:
    """A stack of this release that had one role is given the others later: what it made is handed over."""
    prepare_database(all_one(empty_database_url))
    ask(empty_database_url, "CREATE TABLE reviews AS SELECT 1 AS id")
    name, roles = empty_database_url.rpartition("/")[2], servers.database_roles()
    here = {purpose: f"{url.rpartition('/')[0]}/{name}" for purpose, url in roles.__dict__.items() if url}
    prepare_database(DatabaseRoles(**{**here, "admin": empty_database_url}))
    assert ask(here["source"], "SELECT id FROM reviews") == [(1,)]
    ask(here["author"], "ALTER TABLE reviews ADD COLUMN body text")
    mine = "SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'commit_sql_step'"
    assert ask(here["author"], mine) == [("batchord_owner",)]
    assert ask(here["ledger"], "DELETE FROM batchord.pipelines RETURNING name") == []
    assert remarks(DatabaseRoles(**here)) == []


def test_no_process_has_the_superusers_password_in_its_environment(old_home: Path) -> None:
    """It stays in the file of passwords, for the stack's own start."""
    superusers = json.loads((old_home / "passwords.json").read_text())["postgres"]
    servers = up(old_home)
    assert superusers not in "".join([*servers.environment().values(), (old_home / "servers.json").read_text()])
    roles = "SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls"
    assert ask(servers.database_url, roles) == [("batchord",)]
