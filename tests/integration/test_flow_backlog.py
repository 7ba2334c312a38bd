"""A backlog that is larger than one run goes on in follow-up runs, at once and to its end."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from batchord.core.run.records import Position
from batchord.core.run.runs import Kind, NewRun, NewStep, Run, RunState
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """95 records, in shards of 10, of which a run may have two."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(95)
        bench.declare(shard_rows=10)
        yield bench


def runs(bench: Bench) -> list[Run]:
    """All runs, oldest first."""
    return bench.ledger.reports.runs(limit=100)[::-1]


def test_95_records_take_five_runs_of_at_most_two_shards(bench: Bench) -> None:
    """One run asked for, four follow-ups; every record once."""
    first = bench.run(max_shards=2)
    assert [(run.kind, run.state, run.predicted) for run in runs(bench)] == [
        ("manual", RunState.SUCCEEDED, 20),
        *[("follow-up", RunState.SUCCEEDED, 20)] * 3,
        ("follow-up", RunState.SUCCEEDED, 15),
    ]
    assert runs(bench)[0].id == first.id
    assert bench.value("SELECT max(shards) FROM (SELECT count(*) AS shards FROM batchord.shards GROUP BY run_id)") == 2
    bench.assert_exactly_once()


def test_a_backlog_of_exactly_two_runs_takes_no_third(bench: Bench) -> None:
    """There are no records behind the fortieth, so no follow-up run is opened."""
    bench.sql("DELETE FROM records WHERE id > 40")
    bench.run(max_shards=2)
    assert [run.predicted for run in runs(bench)] == [20, 20]


def test_the_frontier_follows_a_backlog_to_its_end(bench: Bench) -> None:
    """It never passes a record that a run left, and ends at the last record once a run has seen that all are done."""
    source = bench.catalog.get(ITEMS).predict_step(STEP).source_digest
    bench.run(max_shards=2)
    reached = bench.ledger.planner.frontier(ITEMS, STEP, source)
    assert reached.position is not None
    assert int(str(reached.position.key)) <= 95
    bench.run(max_shards=2)
    assert bench.ledger.planner.frontier(ITEMS, STEP, source).position == Position(arrival=None, key=95)


def test_a_run_that_was_asked_for_meanwhile_takes_its_share_of_the_backlog(bench: Bench) -> None:
    """A second request while the backlog is worked off is one run more, and none is predicted twice."""
    run_id, messages = bench.planned(max_shards=2)
    queued = bench.ledger.runs.open(
        NewRun(pipeline=ITEMS, kind=Kind.MANUAL, trigger="call", steps=(NewStep(name=STEP),))
    )
    bench.run_on(run_id, messages, max_shards=2)
    assert bench.ledger.runs.get(queued.run.id).state is RunState.SUCCEEDED
    assert {run.state for run in runs(bench)} == {RunState.SUCCEEDED}
    bench.assert_exactly_once()


def test_a_failed_run_has_no_follow_up(bench: Bench) -> None:
    """A broken model is not tried on the whole backlog, run after run."""
    bench.declare(lambda frame: frame["body"].str.len().iloc[:-1], source=RECORDS, shard_rows=10)
    assert bench.run(max_shards=2).state is RunState.FAILED
    assert len(runs(bench)) == 1
    assert bench.ledger.recovery.backlogs() == []


def test_a_late_commit_that_is_larger_than_a_run_is_not_passed(bench: Bench) -> None:
    """Thirty records commit late, below what the frontier waits to move to; the scan that finds them ends early."""
    bench.sql("TRUNCATE records RESTART IDENTITY")
    with psycopg.connect(bench.url) as late:
        late.execute("INSERT INTO records (body) SELECT 'late' FROM generate_series(1, 30)")
        bench.insert(3)
        assert bench.run(max_shards=2).predicted == 3
    assert bench.run(max_shards=2).predicted == 20
    assert [run.predicted for run in runs(bench)] == [3, 20, 10]
    bench.assert_exactly_once()
