"""No record is lost, whenever it commits: real runs over a source that is never quiet."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from batchord.core.calendar.schedules import EARLIEST, every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.run.records import Scalar
from batchord.core.run.runs import RunState
from batchord.flow.begin.start import tick
from batchord.flow.upkeep.audit import audit
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length
from tests.waiting import wait_until

BY_ARRIVAL = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")
HOUR = timedelta(hours=1)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline over an empty table, ordered by its key."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare()
        yield bench


@pytest.fixture
def late(bench: Bench) -> Iterator[psycopg.Connection]:
    """A session whose transaction stays open."""
    with psycopg.connect(bench.url) as connection:
        yield connection


def frontier(bench: Bench) -> Scalar | None:
    """The key at which discovery starts."""
    digest = bench.catalog.get(ITEMS).predict_step(STEP).source_digest
    position = bench.ledger.planner.frontier(ITEMS, STEP, digest).position
    return None if position is None else position.key


def predicted(bench: Bench) -> int:
    """How many records one more run predicts."""
    run = bench.run()
    assert run.state is RunState.SUCCEEDED, run.error
    return run.predicted


def test_a_record_that_commits_two_runs_late_is_found(bench: Bench, late: psycopg.Connection) -> None:
    """It got its id before all others. The frontier waits for it and passes it once it is predicted."""
    late.execute("INSERT INTO records (body) VALUES ('late')")
    bench.insert(3)
    assert [predicted(bench) for _ in range(2)] == [3, 0]
    assert frontier(bench) is None
    bench.insert(2)
    assert predicted(bench) == 2
    late.commit()
    assert predicted(bench) == 1
    bench.assert_exactly_once()
    bench.run()
    assert frontier(bench) == 6


def test_a_gap_that_was_rolled_back_does_not_hold_the_frontier(bench: Bench, late: psycopg.Connection) -> None:
    """An id that will never come is nothing to wait for."""
    late.execute("INSERT INTO records (body) VALUES ('never')")
    bench.insert(3)
    bench.run()
    late.rollback()
    assert [predicted(bench) for _ in range(2)] == [0, 0]
    assert frontier(bench) == 4


def test_a_prepared_transaction_is_waited_for(bench: Bench, late: psycopg.Connection) -> None:
    """Its session is gone long before it commits."""
    late.execute("INSERT INTO records (body) VALUES ('late')")
    bench.insert(3)
    bench.run()
    late.execute("PREPARE TRANSACTION 'late'")
    late.close()
    try:
        assert [predicted(bench) for _ in range(3)] == [0, 0, 0]
        assert frontier(bench) is None
    finally:
        bench.sql("COMMIT PREPARED 'late'")
    assert predicted(bench) == 1
    bench.run()
    assert frontier(bench) == 4
    bench.assert_exactly_once()


def test_a_quiet_source_is_read_from_the_frontier_on(bench: Bench) -> None:
    """Records below it are not looked at again: an insert there, against the rules, is for the audit to find."""
    bench.insert(10)
    bench.run()
    bench.run()
    assert frontier(bench) == 10
    bench.sql("INSERT INTO records (id, body) VALUES (-1, 'against the rules')")
    assert predicted(bench) == 0
    found, examples = audit(bench.parts(), pipeline=ITEMS)
    assert (found.missing, examples) == (1, {"missing": ["-1"]})


def test_changed_sql_is_read_from_the_beginning(bench: Bench) -> None:
    """The wider query's records lie below the old frontier; those that are done stay done."""
    bench.insert(10)
    bench.declare(source=replace(RECORDS, sql=RECORDS.sql + " WHERE id % 2 = 0"))
    assert predicted(bench) == 5
    bench.run()
    assert frontier(bench) == 10
    bench.declare()
    assert frontier(bench) is None
    assert predicted(bench) == 5
    bench.assert_exactly_once()


def test_a_record_dated_in_the_future_takes_the_frontier_nowhere(bench: Bench) -> None:
    """It is predicted at once, and records that arrive before its date are still found."""
    bench.declare(source=BY_ARRIVAL)
    bench.sql("INSERT INTO records (body, created_at) VALUES ('old', now() - interval '1 day')")
    bench.sql("INSERT INTO records (body, created_at) VALUES ('future', now() + interval '1 day')")
    assert [predicted(bench) for _ in range(3)] == [2, 0, 0]
    assert frontier(bench) == 1
    bench.insert(3)
    assert predicted(bench) == 3
    bench.assert_exactly_once()


def test_records_of_one_instant_are_distinguished_by_their_keys(bench: Bench) -> None:
    """A bulk load gives thousands of rows one timestamp; shards are cut between them all the same."""
    bench.declare(source=BY_ARRIVAL, shard_rows=3)
    bench.sql(
        "INSERT INTO records (body, created_at) SELECT 'same', timestamptz '2026-01-01 00:00:00.123456Z' "
        "FROM generate_series(1, 20)"
    )
    assert predicted(bench) == 20
    bench.run()
    assert frontier(bench) == 20
    bench.assert_exactly_once()


@pytest.mark.parametrize("make", [uuid4, lambda: f"Straße/{uuid4()}"], ids=["uuid", "text"])
def test_keys_that_do_not_rise_are_read_in_full_by_every_run(bench: Bench, make: Callable[[], UUID | str]) -> None:
    """The next one may be anywhere among them, so there is no frontier, and none is predicted twice."""
    kind = "uuid" if isinstance(make(), UUID) else "text"
    bench.sql(f"CREATE TABLE named (id {kind} PRIMARY KEY, body text)")
    bench.declare(source=SqlSource("SELECT id, body FROM named", key="id"), shard_rows=4)
    for _ in range(3):
        for _ in range(10):
            bench.sql("INSERT INTO named VALUES (%s, 'text')", make())
        assert predicted(bench) == 10
    assert frontier(bench) is None
    bench.assert_exactly_once(bench.column("SELECT id FROM named"))


def test_settle_keeps_the_frontier_behind_the_clock(bench: Bench) -> None:
    """Clients date these records. A record that comes an hour late is found, even without an open transaction."""
    bench.declare(source=replace(BY_ARRIVAL, settle=HOUR))
    for minutes in (180, 90, 30, 0):
        bench.sql("INSERT INTO records (body, created_at) VALUES ('x', now() - make_interval(mins => %s))", minutes)
    assert [predicted(bench) for _ in range(2)] == [4, 0]
    assert frontier(bench) == 2
    bench.sql("INSERT INTO records (body, created_at) VALUES ('late', now() - interval '59 minutes')")
    assert predicted(bench) == 1
    bench.assert_exactly_once()


def test_settle_over_a_key_waits_until_it_has_passed(bench: Bench) -> None:
    """An id has no time: the frontier moves to the position that was the greatest ``settle`` ago."""
    bench.declare(source=replace(RECORDS, settle=timedelta(seconds=0.2)))
    bench.insert(3)
    assert predicted(bench) == 3
    assert frontier(bench) is None

    def moved() -> bool:
        bench.run()
        return frontier(bench) == 3

    wait_until(moved, description="the frontier moved up to what has settled", timeout=10)
    bench.insert(2)
    assert predicted(bench) == 2
    bench.assert_exactly_once()


def test_a_sqlite_source_is_read_as_any_other(bench: Bench, tmp_path: Path) -> None:
    """Records in a file, the ledger on PostgreSQL; ``settle`` says how late a record may come."""
    file = tmp_path / "records.db"
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, body TEXT)")
        connection.executemany("INSERT INTO records (body) VALUES (?)", [("x" * n,) for n in range(25)])
        bench.declare(source=replace(RECORDS, url=f"sqlite:///{file}", settle=timedelta(0)), shard_rows=10)
        assert [predicted(bench) for _ in range(2)] == [25, 0]
        assert frontier(bench) == 25
        connection.execute("INSERT INTO records (body) VALUES ('late')")
        assert predicted(bench) == 1
        bench.assert_exactly_once(range(1, 27))
    finally:
        connection.close()


WINDOWED = SqlSource(
    "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end", key="id"
)


def test_a_scheduled_run_reads_its_own_window(bench: Bench) -> None:
    """Each hour's run takes the records of the hour before, and no frontier stands between them."""
    bench.catalog.pipelines[ITEMS] = Pipeline(
        ITEMS, schedule=every(hours=1), steps=[Predict(STEP, source=WINDOWED, model=length)]
    )
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for hour in (9, 10, 10, 11, 12):
        bench.sql("INSERT INTO records (body, created_at) VALUES ('x', %s)", noon.replace(hour=hour, minute=30))
    counts = []
    for hour in (12, 11):
        moment = noon.replace(hour=hour, minute=1)
        (run,), messages = tick(bench.parts(), pipeline=ITEMS, now=moment)
        ended = bench.run_on(run.id, messages)
        assert (ended.window_start, ended.window_end) == (noon.replace(hour=hour - 1), noon.replace(hour=hour))
        counts.append(ended.predicted)
    assert counts == [1, 2], "a later window does not hide an earlier one"
    assert frontier(bench) is None


def test_windows_of_runs_by_hand_abut_where_there_is_no_schedule(bench: Bench) -> None:
    """The first reads all of time, each other one from where the newest run that succeeded ended."""
    bench.declare(source=WINDOWED)
    bench.insert(2)
    first = bench.run()
    bench.insert(3)
    bench.declare(source=replace(WINDOWED, sql=WINDOWED.sql.replace("body", "no_such_column")))
    failed = bench.run()
    bench.declare(source=WINDOWED)
    second = bench.run()
    assert (first.window_start, first.predicted) == (EARLIEST, 2)
    assert (failed.state, failed.window_start) == (RunState.FAILED, first.window_end)
    assert (second.window_start, second.predicted) == (first.window_end, 3)
    bench.assert_exactly_once()
