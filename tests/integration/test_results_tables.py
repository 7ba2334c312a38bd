"""Each step's predictions lie in a table of its own, by the source's key; the views show those of all steps."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from uuid import UUID

import psycopg
import pytest

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import TransientError
from batchord.core.run.runs import RunState
from batchord.flow.predict.plan import plan_step
from batchord.flow.upkeep.audit import audit
from batchord.ledger import results
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, batch_of, length

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


def earlier(bench: Bench, *keys: str, pipeline: str = ITEMS) -> None:
    """Predictions that an earlier release wrote before the step had a table."""
    select = "SELECT %s, %s, key, 'old', gen_random_uuid(), 0, 1 FROM unnest(%s::text[]) AS key"
    bench.insert_earlier(select, pipeline, STEP, list(keys))


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


def test_a_record_has_one_prediction_in_both_places_together(bench: Bench) -> None:
    """What an earlier release predicted is not predicted again, by plan, by lookup, or by a shard that meets it."""
    bench.insert(6)
    earlier(bench, "1", "2")
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    assert bench.value("SELECT has_earlier FROM batchord.results")
    earlier(bench, "4")  # after the plan, as a record that moved into the shard
    lease = bench.claim(run_id)
    assert bench.ledger.shards.accounted(ITEMS, STEP, [1, 2, 3, 4]) == {1, 2, 4}
    assert bench.ledger.shards.commit(lease, batch_of(2, 3, 4, rejected=[1])) == 1
    bench.expire_leases()
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    bench.assert_exactly_once()
    assert bench.column("SELECT id FROM batchord_results.items__score ORDER BY 1") == [3, 5, 6]
    served = bench.column("SELECT record_key FROM batchord.current_predictions ORDER BY 1")
    assert served == ["1", "2", "3", "4", "5", "6"]
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.predicted, found.duplicated, found.missing) == (6, 0, 0)


def test_two_shards_that_meet_the_same_record_write_it_once(bench: Bench) -> None:
    """At the same time: the second waits for the first one's commit."""
    bench.insert(40)
    bench.declare(shard_rows=20)
    run_id, _ = bench.planned()
    leases = [bench.claim(run_id, index) for index in range(2)]
    written: list[int] = []

    def write(index: int) -> None:
        batches = [batch_of(*range(start, start + 5)) for start in range(1, 41, 5)]
        written.extend(bench.ledger.shards.commit(leases[index], batch) for batch in batches)

    threads = [Thread(target=write, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(written) == 40
    assert len(written) == 16
    assert bench.value("SELECT count(*) FROM batchord.predictions") == 40


def test_a_step_that_was_planned_without_a_table_gets_it_from_its_worker(bench: Bench) -> None:
    """As an earlier release planned it."""
    bench.insert(3)
    bench.declare()
    run_id, messages = bench.planned()
    bench.sql("SELECT batchord.show_results(without => id) FROM batchord.results")
    bench.sql("DROP TABLE batchord_results.items__score")
    bench.sql("DELETE FROM batchord.results")
    assert bench.run_on(run_id, messages).predicted == 3
    assert bench.outcomes() == {"1": 1, "2": 2, "3": 3}
    assert bench.value("SELECT count(DISTINCT writer) FROM batchord_results.items__score") == 1


def test_a_worker_of_an_earlier_release_is_told_to_stop(bench: Bench, database_roles: DatabaseRoles) -> None:
    """Its error is one that passes for it, so it hands its shard back."""
    columns = "pipeline, step, model_version, run_id, shard, attempt, record_key, label, score, output, input_digest"
    with psycopg.connect(database_roles.ledger) as connection, connection.cursor() as cursor:
        row = "items\tscore\tv\t01970000-0000-7000-8000-000000000000\t0\t1\t1\tx\t1\t\\N\t0\n"
        with (
            pytest.raises(psycopg.OperationalError, match="older than the ledger"),
            cursor.copy(f"COPY batchord.predictions ({columns}) FROM STDIN".encode()) as copy,
        ):
            copy.write(row)
    assert bench.value("SELECT count(*) FROM batchord.predictions") == 0


def test_whole_numbers_may_become_wider(bench: Bench) -> None:
    """The column follows the source's, with all that it holds."""
    keyed(bench, "smallint", "1", "2")
    assert bench.run().predicted == 2
    bench.sql("ALTER TABLE items ALTER k TYPE bigint")
    bench.sql("INSERT INTO items VALUES (5000000000, 'much')")
    assert bench.run().predicted == 1
    assert bench.value(_TYPE, bench.table(), "k") == "bigint"
    assert bench.outcomes() == {"1": 4, "2": 4, "5000000000": 4}
    bench.sql("ALTER TABLE items ALTER k TYPE bigint, ADD COLUMN more text")
    bench.sql("INSERT INTO items VALUES (3, 'less')")
    bench.sql("DELETE FROM items WHERE k > 9")
    bench.sql("ALTER TABLE items ALTER k TYPE smallint")
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().predicted == 1
    assert bench.value(_TYPE, bench.table(), "k") == "bigint"


def test_another_type_of_key_fails_the_plan_and_says_what_to_do(bench: Bench) -> None:
    """After a reset, the table is made anew. A text column takes keys of any type."""
    keyed(bench, "bigint", "1", "2")
    assert bench.run().predicted == 2
    bench.sql("ALTER TABLE items ALTER k TYPE text")
    bench.sql("INSERT INTO items VALUES ('x', 'new')")
    bench.sql("DELETE FROM batchord.frontiers")
    failed = bench.run()
    assert failed.state is RunState.FAILED
    assert failed.error is not None
    for part in ("keys of type text", "keys of type bigint", "batchord_results.items__score", "batchord reset items"):
        assert part in failed.error
    assert bench.outcomes() == {"1": 4, "2": 4}

    bench.ledger.resets.reset(ITEMS, [STEP])
    assert bench.run().predicted == 3
    assert bench.value(_TYPE, bench.table(), "k") == "text"
    assert bench.outcomes() == {"1": 4, "2": 4, "x": 3}
    bench.sql("DELETE FROM items WHERE k = 'x'")
    bench.sql("ALTER TABLE items ALTER k TYPE bigint USING k::bigint")
    bench.sql("INSERT INTO items VALUES (3, 'new')")
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().predicted == 1
    assert bench.outcomes() == {"1": 4, "2": 4, "x": 3, "3": 3}


def test_a_key_that_does_not_fit_costs_its_own_record(bench: Bench) -> None:
    """Its reason says so; the others of its batch are predicted."""
    bench.insert(2)
    bench.declare()
    run_id, _ = bench.planned()
    lease = bench.claim(run_id)
    odd = [2**63, "x", "007", UUID(int=7), -(2**63) - 1]
    assert bench.ledger.shards.commit(lease, batch_of(1, *odd, 2)) == 7
    assert bench.outcomes() == {"1": 0.5, "2": 0.5, **{str(key): "unfitting-key" for key in odd}}
    detail = bench.value("SELECT DISTINCT detail FROM batchord.rejections")
    assert detail.startswith("the table batchord_results.items__score has keys of type bigint")
    assert bench.ledger.shards.accounted(ITEMS, STEP, [*odd, 9]) == set(odd)
    assert bench.ledger.shards.commit(lease, batch_of(*odd)) == 0


def test_a_plan_waits_for_readers_of_the_views(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not for long: it is handed back, and made when they have gone. Nothing is planned that no view shows."""
    bench.insert(2)
    bench.declare()
    bench.sql("ALTER FUNCTION batchord.make_results SET lock_timeout = '50ms'")
    run = bench.started()
    with psycopg.connect(bench.url) as reader:
        reader.execute("SELECT count(*) FROM batchord.predictions")
        with pytest.raises(TransientError, match=r"cannot be made now.*view batchord\.predictions"):
            plan_step(bench.parts(), run_id=run.id, step=STEP)
        assert bench.value("SELECT count(*) FROM batchord.shards") == 0
    assert bench.run_on(run.id, plan_step(bench.parts(), run_id=run.id, step=STEP)).predicted == 2
    monkeypatch.setattr(results, "_MAKE", "SELECT of_a_table_that_is_there")
    bench.insert(1)
    assert bench.run().predicted == 1


def test_a_plan_whose_table_is_filled_meanwhile_fails(bench: Bench) -> None:
    """The function itself looks, under its lock."""
    bench.insert(1)
    bench.declare()
    bench.run()
    with pytest.raises(psycopg.errors.RaiseException, match="are of type bigint, not uuid"):
        bench.sql("SELECT batchord.make_results('items', 'score', 'id', 'uuid')")


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
