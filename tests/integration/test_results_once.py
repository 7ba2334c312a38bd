"""A record has one prediction, whatever the tables of results go through: earlier rows, races, other keys, readers."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from uuid import UUID

import psycopg
import pytest

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.errors import TransientError
from batchord.core.run.runs import RunState
from batchord.flow.predict.plan import plan_step
from batchord.flow.upkeep.audit import audit
from batchord.ledger import places
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of, length

_TYPE = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'k'"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def keyed(bench: Bench, kind: str) -> None:
    """A pipeline over two records whose key has this type."""
    bench.sql(f"CREATE TABLE items (k {kind} PRIMARY KEY, body text)")
    bench.sql("INSERT INTO items VALUES (1, 'body'), (2, 'body')")
    bench.declare(length, source=SqlSource("SELECT * FROM items", key="k"))


def earlier(bench: Bench, *keys: str) -> None:
    """Predictions of an earlier release."""
    select = "SELECT %s, %s, key, 'old', gen_random_uuid(), 0, 1 FROM unnest(%s::text[]) AS key"
    bench.insert_earlier(select, ITEMS, STEP, list(keys))


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
    keyed(bench, "smallint")
    assert bench.run().predicted == 2
    bench.sql("ALTER TABLE items ALTER k TYPE bigint")
    bench.sql("INSERT INTO items VALUES (5000000000, 'much')")
    assert bench.run().predicted == 1
    assert bench.value(_TYPE, bench.table()) == "bigint"
    assert bench.outcomes() == {"1": 4, "2": 4, "5000000000": 4}
    bench.sql("ALTER TABLE items ALTER k TYPE bigint, ADD COLUMN more text")
    bench.sql("INSERT INTO items VALUES (3, 'less')")
    bench.sql("DELETE FROM items WHERE k > 9")
    bench.sql("ALTER TABLE items ALTER k TYPE smallint")
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().predicted == 1
    assert bench.value(_TYPE, bench.table()) == "bigint"


def test_another_type_of_key_fails_the_plan_and_says_what_to_do(bench: Bench) -> None:
    """After a reset, the table is made anew. A text column takes keys of any type."""
    keyed(bench, "bigint")
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
    assert bench.value(_TYPE, bench.table()) == "text"
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
    monkeypatch.setattr(places, "_MAKE", "SELECT of_a_table_that_is_there")
    bench.insert(1)
    assert bench.run().predicted == 1


def test_a_plan_whose_table_is_filled_meanwhile_fails(bench: Bench) -> None:
    """The function itself looks, under its lock."""
    bench.insert(1)
    bench.declare()
    bench.run()
    with pytest.raises(psycopg.errors.RaiseException, match="are of type bigint, not uuid"):
        bench.sql("SELECT batchord.make_results('items', 'score', 'id', 'uuid')")
