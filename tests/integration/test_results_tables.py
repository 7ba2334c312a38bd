"""Each step's predictions lie in a table of its own, by the source's key; the views show those of all steps."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.flow.upkeep.audit import audit
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, Bench, length

_TYPE = """
    SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s
"""
#: A type of the source's key, a value of it, the type of the table's key, and whether the table has the text, too.
KEYS = [
    ("smallint", "7", "smallint", False),
    ("integer", "7", "integer", False),
    ("bigint", "9007199254740993", "bigint", False),
    ("uuid", "'a0000000-0000-4000-8000-00000000000a'", "uuid", False),
    ("text", r"E'tab\t\\ and ''quote'''", "text", False),
    ("varchar(9)", "'é猫'", "character varying", False),
    ("numeric(10, 2)", "1.50", "numeric", True),
    ("char(4)", "'AB'", "bpchar", True),
    ("date", "'2026-01-01'", "date", True),
    ("timestamptz", "'2026-01-01 12:00:00.5+01'", "timestamp with time zone", True),
    ("timestamp", "'infinity'", "timestamp without time zone", True),
    ("bytea", r"'\x00ff'", "bytea", True),
    ("double precision", "0.1", "double precision", True),
    ("inet", "'10.0.0.1/8'", "inet", True),
    ("jsonb", """'{"a": [1, "\\\\"]}'""", "jsonb", True),
    ("mood", "'good'", "text", False),
    ("int4range", "'[1,5)'", "text", False),
]


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def keyed(bench: Bench, kind: str, *values: str, key: str = "k", name: str = ITEMS) -> None:
    """A pipeline over a table whose key has this type and these values."""
    bench.sql(f'CREATE TABLE "{name}" ("{key}" {kind} PRIMARY KEY, body text)')
    for value in values:
        bench.sql(f"INSERT INTO \"{name}\" VALUES ({value}, 'body')")  # noqa: S608
    bench.declare(length, source=SqlSource(f'SELECT * FROM "{name}"', key=key), name=name)  # noqa: S608


@pytest.mark.parametrize(("kind", "value", "stored", "has_text"), KEYS, ids=[each[0] for each in KEYS])
def test_a_table_has_the_sources_key(bench: Bench, kind: str, value: str, stored: str, *, has_text: bool) -> None:
    """By its name and type. Its rows join the source by it, and by the view's text; a second run predicts nothing."""
    bench.sql("CREATE TYPE mood AS ENUM ('good')")
    keyed(bench, kind, value)
    assert bench.run().predicted == 1
    assert bench.value(_TYPE, bench.table(), "k") == stored
    assert bench.value("SELECT has_text FROM batchord.results") is has_text
    cast = "::text" if stored == "text" else ""
    typed = f"SELECT count(*) FROM items JOIN {bench.table()} AS p ON p.k = items.k{cast} WHERE p.score = 4"  # noqa: S608
    assert bench.value(typed) == 1
    by_text = "SELECT count(*) FROM items JOIN batchord.{} AS p ON p.record_key = items.k::text"
    for view in ("predictions", "current_predictions", "provenance"):
        bench.sql("SET TIME ZONE 'UTC'")
        assert bench.value(by_text.format(view)) == 1
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated) == (1, 1, 0)


@pytest.mark.parametrize(
    ("values", "stored"),
    [("(1), (2)", "bigint"), ("('a'), ('b')", "text"), ("(0.5), (1.5)", "text")],
    ids=["whole", "text", "float"],
)
def test_keys_of_other_databases_show_their_type(bench: Bench, tmp_path: Path, values: str, stored: str) -> None:
    """Whole numbers are such in the table, too."""
    file = tmp_path / "notes.db"
    with closing(sqlite3.connect(file)) as notes, notes:
        notes.execute("CREATE TABLE notes (k, body DEFAULT 'body')")
        notes.execute(f"INSERT INTO notes (k) VALUES {values}")  # noqa: S608
    source = SqlSource("SELECT k, body FROM notes", key="k", url=f"sqlite:///{file}", settle=timedelta(0))
    bench.declare(length, source=source)
    assert bench.run().predicted == 2
    assert bench.value(_TYPE, bench.table(), "k") == stored
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0


@pytest.mark.parametrize("key", ["label", "output", "writer", "record_key", "ctid", 'odd "Name', "100 % é", "x" * 70])
@pytest.mark.parametrize("kind", ["bigint", "numeric"])
def test_a_key_may_have_any_name(bench: Bench, kind: str, key: str) -> None:
    """The source's column keeps its name; the ledger's makes way. PostgreSQL's limits hold for both."""
    bench.sql(f"CREATE TABLE items (id {kind}, body text)")
    bench.sql("INSERT INTO items VALUES (1, 'a'), (2, 'bc')")
    quoted = key.replace('"', '""')
    source = SqlSource(f'SELECT id AS "{quoted}", body FROM items', key=key[:63])  # noqa: S608
    bench.declare(length, source=source)
    assert bench.run().predicted == 2
    assert bench.outcomes() == {"1": 1, "2": 2}
    stored = bench.value("SELECT key_column FROM batchord.results")
    assert stored == {"ctid": "key_ctid", "100 % é": "100 _ é"}.get(key, key[:63])
    quoted = stored.replace('"', '""')
    assert bench.value(f'SELECT count("{quoted}") FROM {bench.table()}') == 2  # noqa: S608
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0


def test_tables_have_names_of_their_own(bench: Bench) -> None:
    """Names that would be the same, and names that are too long for PostgreSQL."""
    bench.insert(2)
    long = "l" * 60
    for name, step in (("a__b", "c"), ("a", "b__c"), (long, "predict"), (long + "2", "predict")):
        bench.catalog.pipelines[name] = Pipeline(name, steps=[Predict(step, source=RECORDS, model=length)])
        assert bench.run(name).predicted == 2
    names = bench.column("SELECT table_name FROM batchord.results ORDER BY id")
    assert names[0] == "a__b__c"
    assert names[1].startswith("a__b__c_")
    assert len(set(names)) == 4
    assert {name[:54] for name in names[2:]} == {long[:54]}
    counts = "SELECT pipeline, step, count(*) FROM batchord.predictions GROUP BY 1, 2 ORDER BY 1, 2"
    assert {row[2] for row in bench.sql(counts)} == {2}
    assert len(bench.sql(counts)) == 4


def test_each_role_has_the_rights_that_it_has_on_the_ledger(bench: Bench, database_roles: DatabaseRoles) -> None:
    """Workers write, authors and sources read; nobody but the owner makes or drops a table."""
    bench.insert(1)
    bench.declare()
    bench.run()
    table = bench.table()
    rights = "SELECT has_table_privilege(%s, %s, %s)"
    for role, may in (("ledger", 4), ("author", 1), ("source", 1)):
        name = f"batchord_{role}"
        held = [bench.value(rights, name, table, right) for right in ("SELECT", "INSERT", "UPDATE", "DELETE")]
        assert held == [True] * may + [False] * (4 - may), role
    assert bench.value("SELECT tableowner FROM pg_tables WHERE schemaname = 'batchord_results'") == "batchord_owner"
    for url in (database_roles.author, database_roles.source):
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (1,)  # noqa: S608
            for statement in (f"DELETE FROM {table}", f"DROP TABLE {table}", "SELECT batchord.show_results()"):  # noqa: S608
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="make_results"):
                connection.execute("SELECT batchord.make_results('a', 'b', 'c', 'bigint')")


def test_a_key_type_is_one_of_a_list(bench: Bench) -> None:
    """The ledger's role gives it as a text, and the owner's rights make the table."""
    with pytest.raises(psycopg.errors.RaiseException, match="cannot have a key of type"):
        bench.sql("SELECT batchord.make_results('a', 'b', 'c', 'int); DROP TABLE batchord.runs; --')")


def test_one_record_is_found_by_index_in_a_thousand_steps(bench: Bench) -> None:
    """By the text of its key through the views, as people ask, and by the key in the table."""
    bench.insert(1)
    bench.declare()
    bench.run()
    for kind in ("bigint", "uuid", "text", "numeric"):
        bench.sql("SELECT batchord.make_results(%s, 'predict', 'id', %s)", f"of-{kind}", kind)
    bench.sql(
        "INSERT INTO batchord.results (pipeline, step, schema_name, table_name, key_column, key_type, has_text, "
        "columns, has_earlier) SELECT 'p' || n, 'predict', schema_name, 'p' || n, key_column, key_type, has_text, "
        "columns, false FROM batchord.results, generate_series(1, 300) AS n WHERE pipeline = 'of-bigint'"
    )
    for number in range(1, 301):
        bench.sql(f'CREATE TABLE batchord_results.p{number} (LIKE batchord_results."of-bigint__predict" INCLUDING ALL)')
    bench.sql("SELECT batchord.show_results()")
    bench.sql(
        'INSERT INTO batchord_results."of-bigint__predict" (id, writer) '
        "SELECT n, 0 FROM generate_series(1, 200000) AS n"
    )
    bench.sql(
        'INSERT INTO batchord_results."of-uuid__predict" (id, writer) '
        "SELECT md5(n::text)::uuid, 0 FROM generate_series(1, 30000) AS n"
    )
    bench.sql(
        'INSERT INTO batchord_results."of-text__predict" (id, writer) SELECT n, 0 FROM generate_series(1, 30000) AS n'
    )
    bench.sql(
        'INSERT INTO batchord_results."of-numeric__predict" (id, record_key, writer) '
        "SELECT n, n, 0 FROM generate_series(1, 30000) AS n"
    )
    for kind in ("bigint", "uuid", "text", "numeric"):
        bench.sql(f'VACUUM ANALYZE batchord_results."of-{kind}__predict"')
    bench.sql("SET max_parallel_workers_per_gather = 0")
    for kind in ("bigint", "uuid", "text", "numeric"):
        key = bench.value(f'SELECT id FROM batchord_results."of-{kind}__predict" OFFSET 7 LIMIT 1')  # noqa: S608
        for view in ("predictions", "current_predictions", "provenance"):
            query = f"FROM batchord.{view} WHERE pipeline = 'of-{kind}' AND step = 'predict' AND record_key = '{key}'"
            plan = "\n".join(bench.column(f"EXPLAIN SELECT * {query}"))
            assert f'Seq Scan on "of-{kind}__predict"' not in plan, plan
            assert f'on "of-{kind}__predict"' in plan, plan
            assert " p7" not in plan, plan
            assert bench.value(f"SELECT count(*) {query}") == 1
