"""What the author's table refuses, or does not keep, costs its own record; a table that refuses all is wrong."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from batchord.core.errors import TransientError
from batchord.core.run.runs import RunState
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of
from tests.integration.into_parts import MOODS
from tests.waiting import wait_until


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database, with a table of the author's and 40 records."""
    with Bench(database_url, tmp_path) as bench:
        bench.sql(MOODS)
        bench.insert(40)
        bench.declare(into="moods")
        yield bench


def _trigger(body: str, when: str = "BEFORE", deferrable: str = "") -> str:
    """A trigger of a table of the author's that does something else with the records 7 and 30."""
    return (
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id IN (7, 30) THEN "
        f"{body} END IF; RETURN NEW; END $$; "
        f"CREATE {'CONSTRAINT ' if deferrable else ''}TRIGGER odd {when} INSERT ON moods {deferrable} FOR EACH ROW "
        "EXECUTE FUNCTION odd()"
    )


#: A column that has the same value, which is no other record's or 0, for the records 7 and 30.
_COMPUTED = (
    "ALTER TABLE moods ADD COLUMN n float8 GENERATED ALWAYS AS (CASE WHEN score IN (7, 30) THEN {} ELSE score END)"
)
_PARENTS = """
    CREATE TABLE parents (id bigint PRIMARY KEY);
    INSERT INTO parents SELECT id FROM records WHERE id NOT IN (7, 30);
    GRANT ALL ON parents TO batchord_author;
    ALTER TABLE moods ADD FOREIGN KEY (id) REFERENCES parents DEFERRABLE INITIALLY DEFERRED
"""
#: What the author's table has besides, and what is said of a row that it refuses.
RULES = {
    "check": ("ALTER TABLE moods ADD CHECK (score NOT IN (7, 30))", "violates check constraint"),
    "numeric": ("ALTER TABLE moods ALTER score TYPE numeric(3), ADD CHECK (score NOT IN (7, 30))", "violates check"),
    "foreign key": (_PARENTS, "violates foreign key constraint"),
    "raise": (_trigger("RAISE 'not %', NEW.id;"), "refused it: not "),
    "deferred trigger": (
        _trigger("RAISE 'late' USING ERRCODE = 'MY001';", "AFTER", "DEFERRABLE INITIALLY DEFERRED"),
        "refused it: late",
    ),
    "swallowed": (_trigger("RETURN NULL;"), "did not keep the row"),
    "other key": (_trigger("NEW.id := -NEW.id;"), "did not keep the row"),
    "error": (_COMPUTED.format(0) + " STORED; ALTER TABLE moods ADD CHECK (1 / n > 0)", "division by zero"),
    "unique": (_COMPUTED.format(1) + " STORED UNIQUE", "violates unique constraint"),
}


@pytest.mark.parametrize(("rule", "words"), RULES.values(), ids=RULES)
def test_a_refused_row_costs_its_own_record(bench: Bench, rule: str, words: str) -> None:
    """With the server's words; the others of its batch are written, and a later run tries none of them again."""
    bench.sql(rule)
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 38, 2)
    bench.assert_exactly_once()
    details = bench.column("SELECT detail FROM batchord.rejections WHERE reason = 'refused-by-table' ORDER BY 1")
    assert len(details) == 2
    for detail in details:
        assert detail.startswith("the table public.moods refused it: ") or "did not keep" in detail
        assert words in detail
    assert sorted(bench.column("SELECT record_key FROM batchord.rejections")) == ["30", "7"]
    assert bench.value("SELECT count(*) FROM moods") == 38
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0


def test_a_table_that_refuses_all_fails_the_shard(bench: Bench) -> None:
    """No record is rejected: the table is wrong, not the records."""
    bench.sql("ALTER TABLE moods ADD CHECK (label IS NOT NULL)")
    failed = bench.run()
    assert failed.state is RunState.FAILED
    assert failed.error is not None
    for part in ("The table public.moods refused at least", "none of the batch was written", "check constraint"):
        assert part in failed.error
    assert bench.outcomes() == {}
    bench.sql("ALTER TABLE moods DROP CONSTRAINT moods_label_check")
    assert bench.run().predicted == 40


def test_a_table_that_nobody_can_write_fails_the_shard(bench: Bench) -> None:
    """As when a trigger names a table that does not exist."""
    bench.sql(_trigger("INSERT INTO public.nowhere VALUES (1);"))
    failed = bench.run()
    assert failed.error is not None
    assert 'Nothing can be written into public.moods: PostgreSQL says: relation "public.nowhere"' in failed.error
    assert bench.outcomes() == {}


def test_a_server_that_fails_rejects_nothing(bench: Bench) -> None:
    """A deadlock or a time-out is the cause of no row: the shard is tried again."""
    bench.sql(_trigger("RAISE 'away' USING ERRCODE = '40P01';"))
    run_id, _ = bench.planned(parallelism=1)
    lease = bench.claim(run_id)
    with pytest.raises(TransientError, match="away"):
        bench.ledger.shards.commit(lease, batch_of(6, 7))
    assert bench.outcomes() == {}


def test_refused_rows_beside_records_with_an_outcome(bench: Bench) -> None:
    """Each record has one outcome, whoever was first."""
    bench.sql("ALTER TABLE moods ADD CHECK (id <> 3)")
    run_id, messages = bench.planned(parallelism=1)
    lease = bench.claim(run_id)
    assert bench.ledger.shards.commit(lease, batch_of(1, rejected=[2])) == 2
    assert bench.ledger.shards.commit(lease, batch_of(1, 2, 3, 4, 5)) == 3
    assert bench.ledger.shards.commit(lease, batch_of(3, 4)) == 0
    assert bench.outcomes()["3"] == "refused-by-table"
    bench.expire_leases()
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    bench.assert_exactly_once()


def test_rows_that_are_deleted_during_a_run_are_not_missed(bench: Bench) -> None:
    """The table is the author's. What was predicted stays counted, and the audit finds the records again."""
    run_id, messages = bench.planned(parallelism=1)
    ended = bench.work(messages[0])
    bench.sql("DELETE FROM moods WHERE id <= 4")
    run = bench.run_on(run_id, ended) if ended else bench.ledger.runs.get(run_id)
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 40)
    assert len(bench.outcomes()) == 36


def test_no_batch_is_written_to_a_table_that_is_no_longer_the_steps(bench: Bench) -> None:
    """A worker that claimed its shard before the change gives it back, and writes to the new table then."""
    run_id, messages = bench.planned(parallelism=1)
    stale = bench.claim(run_id)
    assert bench.ledger.shards.commit(stale, batch_of(1, 2)) == 2
    bench.sql("SELECT batchord.make_results(%s, %s, 'id', 'bigint')", ITEMS, STEP)
    with pytest.raises(TransientError, match=r"into public\.moods, but the predictions go to another table now"):
        bench.ledger.shards.commit(stale, batch_of(3))
    bench.expire_leases()
    lease = bench.claim(run_id)
    assert bench.ledger.shards.commit(lease, batch_of(1, 2, 3)) == 1
    bench.expire_leases()
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    bench.assert_exactly_once()
    assert bench.column("SELECT id FROM moods ORDER BY id") == [1, 2]


def test_a_change_waits_for_the_batches_that_are_being_written(bench: Bench) -> None:
    """So the next batch sees what they have written."""
    run_id, _ = bench.planned(parallelism=1)
    lease = bench.claim(run_id)
    make = b"SELECT batchord.make_results('items', 'score', 'id', 'bigint')"
    with psycopg.connect(bench.url) as other:
        other.execute("LOCK TABLE moods IN SHARE MODE")
        written: list[int] = []
        batch = Thread(target=lambda: written.append(bench.ledger.shards.commit(lease, batch_of(1, 2))))
        batch.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'moods'::regclass"
        wait_until(lambda: bench.value(waits) == 1, description="the batch waits")
        with psycopg.connect(bench.url) as changing:
            changing.execute("SET lock_timeout = '20ms'")
            bench.sql("ALTER FUNCTION batchord.make_results SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                changing.execute(make)
        other.rollback()
        batch.join()
    assert written == [2]
    bench.sql(make.decode())
    assert bench.ledger.shards.accounted(ITEMS, STEP, [1, 2, 3]) == {1, 2}
