"""The database's clock steps back an hour. Work does not wait for that hour, and live workers keep their leases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord.core.run.leases import ShardOutcome
from batchord.core.run.messages import RunReady, ShardsReady, StepEnded, StepReady
from batchord.core.run.runs import Kind, NewRun, NewStep
from batchord.flow.upkeep.recover import sweep
from batchord.flow.upkeep.reset import reset
from batchord.ledger.recovery import LostStep
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of

#: Older than this is lost, and leases last so long, in these tests.
AGE = 60.0
HOUR = 3600.0
#: By arrival, so that a record that is dated in the hour that comes again may stand below the frontier.
_BY_ARRIVAL = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")
_TIMES = {
    "runs": ("created_at", "started_at", "finished_at"),
    "steps": ("sent_at", "started_at", "planned_at", "finished_at", "lease_until"),
    "shards": ("sent_at", "started_at", "finished_at", "lease_until"),
    "frontiers": ("moved_at", "updated_at"),
}


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline with 20 records in shards of 10."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare(shard_rows=10)
        bench.insert(20)
        yield bench


def pass_time(bench: Bench, seconds: float) -> None:
    """Sets all that the ledger has written back, as if so much time had passed; below 0 the clock steps back."""
    for table, columns in _TIMES.items():
        moved = ", ".join(f"{column} = {column} - make_interval(secs => {seconds})" for column in columns)
        bench.sql(f"UPDATE batchord.{table} SET {moved}")  # noqa: S608 -- all of it stands above


def swept(bench: Bench) -> list[object]:
    """The messages that a sweep returns."""
    return [*sweep(bench.parts(resend_after_seconds=AGE, lease_seconds=AGE))]


def test_the_lease_of_a_dead_worker_runs_out_in_its_own_time(bench: Bench) -> None:
    """Not an hour later. The next owner knows that a worker was lost."""
    run_id, _ = bench.planned()
    bench.claim(run_id, 0)
    bench.claim(run_id, 1)
    pass_time(bench, -HOUR)
    assert swept(bench) == []
    pass_time(bench, AGE + 1)
    assert swept(bench) == [ShardsReady(run_id=run_id, step=STEP, queue="table", indexes=(0, 1))]
    second = bench.claim(run_id, 0, worker="test:2")
    assert (second.attempt, second.losses) == (2, 1)


def test_a_living_worker_keeps_its_lease(bench: Bench) -> None:
    """The sweep takes nothing from it, and its next renewal counts from the new time."""
    run_id, _ = bench.planned()
    first, second = (bench.claim(run_id, index) for index in range(2))
    pass_time(bench, -HOUR)
    assert swept(bench) == []
    for lease in (first, second):
        bench.ledger.shards.renew(lease, lease_seconds=AGE)
    pass_time(bench, AGE / 2)
    assert swept(bench) == []
    assert bench.ledger.shards.commit(first, batch_of(1, 2)) == 2
    assert bench.sql("SELECT attempt, losses, resent FROM batchord.shards") == [(1, 0, 0), (1, 0, 0)]


def test_leases_and_times_that_can_be_are_left_alone(bench: Bench) -> None:
    """Only a step of the clock makes a lease of more than twice its length."""
    run_id, _ = bench.planned()
    bench.ledger.shards.claim(run_id, STEP, 0, lease_seconds=2 * AGE - 1, worker="test:1")
    before = bench.sql("SELECT index, sent_at, lease_until FROM batchord.shards ORDER BY index")
    assert bench.ledger.recovery.mend_times(lease_seconds=AGE) == 0
    assert bench.sql("SELECT index, sent_at, lease_until FROM batchord.shards ORDER BY index") == before
    pass_time(bench, -HOUR)
    assert bench.ledger.recovery.mend_times(lease_seconds=AGE) == 4, "two shards, their step, and the frontier"
    assert bench.ledger.recovery.mend_times(lease_seconds=AGE) == 0
    # Shard 1 has no owner; it must not get a lease.
    assert bench.sql("SELECT lease_until IS NULL FROM batchord.shards ORDER BY index") == [(False,), (True,)]


def test_the_step_of_a_dead_planner_is_sent_again(bench: Bench) -> None:
    """As soon as its lease would have run out without the step of the clock."""
    run = bench.started()
    assert bench.ledger.runs.claim_step(run.id, STEP, lease_seconds=AGE, worker="test:1") is not None
    pass_time(bench, -HOUR)
    assert swept(bench) == []
    pass_time(bench, AGE + 1)
    assert swept(bench) == [StepReady(run_id=run.id, step=STEP)]


def test_the_lost_message_of_a_step_is_sent_again(bench: Bench) -> None:
    """When it is as old as it must be, by the new time."""
    run = bench.started()
    pass_time(bench, -HOUR)
    assert swept(bench) == []
    pass_time(bench, AGE + 1)
    assert swept(bench) == [StepReady(run_id=run.id, step=STEP)]


def test_the_lost_messages_of_shards_are_sent_again(bench: Bench) -> None:
    """The whole chord."""
    run_id, _ = bench.planned()
    pass_time(bench, -HOUR)
    assert swept(bench) == []
    pass_time(bench, AGE + 1)
    assert swept(bench) == [ShardsReady(run_id=run_id, step=STEP, queue="table", indexes=(0, 1))]


def test_a_lost_end_is_sent_again(bench: Bench) -> None:
    """The shards now seem to have ended in the future. They count as ended long ago."""
    run_id, _ = bench.planned()
    for index in range(2):
        bench.ledger.shards.finish(bench.claim(run_id, index), ShardOutcome(found=0, timings={}))
    pass_time(bench, -HOUR)
    assert swept(bench) == []
    # Only of the sending: when the step was planned and the shards ended stays as it was.
    bench.sql("UPDATE batchord.steps SET sent_at = sent_at - interval '61 seconds'")
    assert bench.ledger.recovery.stale_shards(older_than_seconds=AGE) == [
        LostStep(run_id=run_id, step=STEP, queue="table", indexes=())
    ]
    assert swept(bench) == [], "it is on its way"
    pass_time(bench, AGE + 1)
    assert swept(bench) == [StepEnded(run_id=run_id, step=STEP)]


def test_runs_that_stand_still_are_driven_on(bench: Bench) -> None:
    """At once, for to drive a run that needs nothing changes nothing."""
    new = NewRun(pipeline=ITEMS, kind=Kind.MANUAL, trigger="call", steps=(NewStep(name=STEP),))
    run = bench.ledger.runs.open(new).run
    pass_time(bench, -HOUR)
    assert swept(bench) == [RunReady(run_id=run.id)]
    bench.sql("UPDATE batchord.runs SET state = 'running', started_at = created_at")
    assert swept(bench) == [RunReady(run_id=run.id)]


def test_records_of_the_hour_that_comes_again_are_predicted(bench: Bench) -> None:
    """They are dated below the frontier; the next run looks at the whole source, and the frontier rises again."""
    bench.declare(source=_BY_ARRIVAL)
    # The frontier stays a second behind the clock.
    bench.sql("UPDATE records SET created_at = created_at - interval '1 minute'")
    for _ in range(2):
        bench.run()
    assert bench.value("SELECT position IS NOT NULL FROM batchord.frontiers")
    late = "INSERT INTO records (body, created_at) VALUES ('late', now() - interval '1 hour')"
    bench.sql(late)
    bench.run()
    assert len(bench.outcomes()) == 20, "without a step of the clock it is below the frontier, and left to the audit"
    pass_time(bench, -HOUR)
    assert swept(bench) == []
    bench.sql(late)
    for _ in range(2):
        bench.run()
    bench.assert_exactly_once()
    assert bench.value("SELECT position IS NOT NULL FROM batchord.frontiers")


def test_a_reset_of_the_hour_that_comes_again_is_earlier_than_the_next_run(bench: Bench) -> None:
    """Otherwise the windows of these runs would not count as read until the hour is over."""
    reset(bench.parts(), pipeline=ITEMS, steps=[STEP])
    bench.sql(f"UPDATE batchord.resets SET reset_at = reset_at + make_interval(secs => {HOUR})")  # noqa: S608 -- a number
    swept(bench)
    run = bench.run()
    assert bench.ledger.resets.times(ITEMS)[STEP] < run.created_at
