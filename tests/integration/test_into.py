"""Predictions go into the table that the author names: made by Batchord, or used as the author has made it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.run.runs import RunState
from batchord.flow.upkeep.audit import audit
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of

#: What each table needs.
NEEDED = "label text, score float8, writer int, predicted_at timestamptz NOT NULL DEFAULT now()"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def test_a_table_that_is_missing_is_made(bench: Bench, database_roles: DatabaseRoles) -> None:
    """It is the owner's, sources and authors read it, and the views show it."""
    bench.insert(3)
    bench.declare(into="moods")
    assert bench.run().predicted == 3
    assert bench.sql("SELECT id, score FROM public.moods ORDER BY id") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert bench.value("SELECT tableowner FROM pg_tables WHERE tablename = 'moods'") == "batchord_owner"
    assert bench.value("SELECT to_regclass('batchord_results.items__score')") is None
    assert bench.outcomes() == {"1": 1, "2": 2, "3": 3}
    for url in (database_roles.author, database_roles.source):
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM public.moods").fetchone() == (3,)
    bench.sql("DELETE FROM batchord.frontiers")
    bench.insert(1)
    assert bench.run().discovered == 1
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated) == (4, 4, 0)
    (forgotten,) = bench.ledger.resets.reset(ITEMS, [STEP])
    assert forgotten.predictions == 4
    assert bench.value("SELECT count(*) FROM moods") == 0


def test_a_table_of_the_authors_is_used_as_it_is(bench: Bench) -> None:
    """Its other columns, defaults, triggers and keys work; columns that it lacks are not written."""
    bench.insert(3)
    bench.sql(
        "CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO batchord_author;"
        'CREATE TABLE shop."Moods" (number int GENERATED ALWAYS AS IDENTITY, id bigint PRIMARY KEY REFERENCES records, '
        "label varchar(9), score numeric(5, 2), doubled float8 GENERATED ALWAYS AS (score * 2) STORED, "
        "state text NOT NULL DEFAULT 'new', note text, writer bigint, predicted_at timestamptz DEFAULT now());"
        'GRANT ALL ON shop."Moods" TO batchord_author;'
        "CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.note := 'of ' || NEW.id; RETURN NEW; END $$;"
        'CREATE TRIGGER note BEFORE INSERT ON shop."Moods" FOR EACH ROW EXECUTE FUNCTION shop.note()'
    )
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'Moods'"
    before = bench.value(columns)
    bench.declare(into='shop."Moods"')
    assert bench.run().predicted == 3
    rows = bench.sql('SELECT number, id, doubled, state, note FROM shop."Moods" ORDER BY id')
    assert rows == [(n, n, 2.0 * n, "new", f"of {n}") for n in (1, 2, 3)]
    assert bench.value(columns) == before
    assert bench.outcomes() == {"1": 1, "2": 2, "3": 3}
    assert bench.value("SELECT count(*) FROM batchord.provenance WHERE attempt = 1 AND input_digest IS NULL") == 3
    bench.sql("INSERT INTO records (body) VALUES ('xxxx')")
    bench.sql('INSERT INTO shop."Moods" (id, score) VALUES (4, 100)')  # the author's own row counts, too
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0
    bench.ledger.resets.reset(ITEMS, [STEP])
    assert bench.column('SELECT id FROM shop."Moods"') == [4]


@pytest.mark.parametrize("kind", ["text", "date"])
def test_a_key_may_have_its_text_beside_it_or_be_one(bench: Bench, kind: str) -> None:
    """A type whose values have several texts is found by the text."""
    bench.sql("CREATE TABLE days (day date PRIMARY KEY, body text); INSERT INTO days VALUES ('2026-01-02', 'ab')")
    key = "day text PRIMARY KEY" if kind == "text" else "day date, record_key text PRIMARY KEY"
    bench.sql(f"CREATE TABLE moods ({key}, {NEEDED})")
    bench.declare(source=SqlSource("SELECT day, body FROM days", key="day"), into="moods")
    assert bench.run().predicted == 1
    assert bench.sql("SELECT day::text, score FROM moods") == [("2026-01-02", 2.0)]
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0


def test_a_change_of_the_table_predicts_nothing_again(bench: Bench) -> None:
    """Earlier predictions stay where they are; the views show all, and a reset forgets all."""
    bench.insert(3)
    bench.declare()
    assert bench.run().predicted == 3
    bench.declare(into="moods")
    bench.insert(2)
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 2
    assert bench.column("SELECT id FROM moods ORDER BY id") == [4, 5]
    bench.declare(into="others")
    bench.insert(1)
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 1
    bench.declare()
    bench.insert(1)
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 1
    assert bench.column("SELECT id FROM batchord_results.items__score ORDER BY id") == [1, 2, 3, 7]
    assert bench.ledger.shards.accounted(ITEMS, STEP, range(9)) == {1, 2, 3, 4, 5, 6, 7}
    assert sorted(bench.outcomes()) == list("1234567")
    bench.assert_exactly_once()
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated) == (7, 7, 0)
    (forgotten,) = bench.ledger.resets.reset(ITEMS, [STEP])
    assert forgotten.predictions == 7
    assert bench.outcomes() == {}
    assert bench.run().predicted == 7


def test_a_step_goes_back_to_a_table_that_takes_its_keys(bench: Bench) -> None:
    """A text takes those of any type."""
    bench.sql("CREATE TABLE items (k text PRIMARY KEY, body text); INSERT INTO items VALUES ('1', 'a')")
    source = SqlSource("SELECT * FROM items", key="k")
    bench.declare(source=source)
    bench.run()
    bench.declare(source=source, into="moods")
    bench.sql("INSERT INTO items VALUES ('2', 'ab'); ALTER TABLE items ALTER k TYPE bigint USING k::bigint")
    assert bench.run().predicted == 1
    bench.declare(source=source)
    bench.sql("INSERT INTO items VALUES (3, 'abc'); DELETE FROM batchord.frontiers")
    assert bench.run().predicted == 1
    assert bench.column("SELECT k FROM batchord_results.items__score ORDER BY 1") == ["1", "3"]
    assert bench.outcomes() == {"1": 1, "2": 2, "3": 3}


def test_a_record_in_a_former_table_that_moves_into_a_shard_is_not_predicted_again(bench: Bench) -> None:
    """Whichever of the two tables Batchord has named."""
    bench.insert(4)
    for into in ("moods", None):
        bench.declare(into=into)
        bench.insert(2)
        run_id, messages = bench.planned(parallelism=1)
        lease = bench.claim(run_id)
        former = bench.column("SELECT record_key::int FROM batchord.predictions ORDER BY 1")
        new = [key for key in bench.column("SELECT id FROM records ORDER BY 1") if key not in former]
        assert bench.ledger.shards.commit(lease, batch_of(*former, *new)) == len(new)
        bench.expire_leases()
        assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
        bench.assert_exactly_once()


def test_sources_need_not_read_the_table(bench: Bench) -> None:
    """Then the ledger's role compares the keys."""
    bench.insert(3)
    bench.sql(f"CREATE TABLE moods (id bigint PRIMARY KEY, {NEEDED}); REVOKE ALL ON moods FROM batchord_source")
    bench.declare(into="moods")
    assert bench.run().predicted == 3
    bench.insert(1)
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 1


def test_whole_numbers_may_become_wider_in_a_table_that_batchord_made(bench: Bench) -> None:
    """As in a table whose name Batchord has chosen."""
    bench.sql("CREATE TABLE items (k int PRIMARY KEY, body text); INSERT INTO items VALUES (1, 'a')")
    bench.declare(source=SqlSource("SELECT * FROM items", key="k"), into="moods")
    assert bench.run().predicted == 1
    bench.sql("ALTER TABLE items ALTER k TYPE bigint")
    bench.sql("INSERT INTO items VALUES (5000000000, 'ab')")
    assert bench.run().predicted == 1
    assert bench.outcomes() == {"1": 1, "5000000000": 2}
