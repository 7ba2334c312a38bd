"""All committed work whose message was lost is found again, each by one sweep, and no other work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from batchord.core.run.leases import ShardOutcome
from batchord.core.run.messages import BacklogLeft, RunReady, ShardsReady, StepEnded, StepReady
from batchord.core.run.runs import Kind, NewRun, NewStep, RunState
from batchord.flow.begin.start import follow_up
from batchord.flow.predict.shard import predict_shard
from batchord.flow.upkeep.recover import sweep
from batchord.ledger.recovery import LostStep
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of

#: Older than this is lost, in these tests.
AGE = 60.0


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline with 30 records in shards of 10."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare(shard_rows=10)
        bench.insert(30)
        yield bench


def pass_time(bench: Bench, seconds: float) -> None:
    """Sets all that the ledger has written back, as if so much time had passed since."""
    for table, columns in {
        "runs": ("created_at", "started_at", "finished_at"),
        "steps": ("sent_at", "planned_at", "finished_at", "lease_until"),
        "shards": ("sent_at", "finished_at", "lease_until"),
    }.items():
        moved = ", ".join(f"{column} = {column} - make_interval(secs => {seconds})" for column in columns)
        bench.sql(f"UPDATE batchord.{table} SET {moved}")  # noqa: S608 -- all of it stands above


def at_once(query: Callable[[], list[Any]]) -> list[Any]:
    """The messages of eight sweeps at the same moment."""
    barrier = Barrier(8)

    def one(_: int) -> list[Any]:
        barrier.wait()
        return query()

    with ThreadPoolExecutor(8) as threads:
        return [found for part in threads.map(one, range(8)) for found in part]


def shards(bench: Bench) -> list[LostStep]:
    """Lost shards and ends."""
    return bench.ledger.recovery.stale_shards(older_than_seconds=AGE)


def steps(bench: Bench) -> list[tuple[str, str]]:
    """Lost steps."""
    return [(step.run_id, step.name) for step in bench.ledger.recovery.stale_steps(older_than_seconds=AGE)]


def test_a_fresh_run_is_left_alone(bench: Bench) -> None:
    """Its messages may be on their way: nothing is lost before its time."""
    run_id, _ = bench.planned()
    bench.ledger.shards.claim(run_id, STEP, 0, lease_seconds=60, worker="test:1")
    assert sweep(bench.parts(resend_after_seconds=AGE)) == []


def test_a_queued_run_that_could_start_is_found(bench: Bench) -> None:
    """The oldest of each pipeline, and none while another run of the pipeline is at work."""
    first = bench.started().id
    new = NewRun(pipeline=ITEMS, kind=Kind.MANUAL, trigger="call", steps=(NewStep(name=STEP),))
    queued = [bench.ledger.runs.open(new).run.id for _ in range(2)]
    pass_time(bench, AGE + 1)
    find = bench.ledger.recovery.stale_queued_runs
    assert find(older_than_seconds=AGE) == []
    with bench.ledger.runs.lock(first) as locked:
        locked.end(RunState.SUCCEEDED, {}, None)
    assert find(older_than_seconds=AGE) == [queued[0]]
    assert find(older_than_seconds=2 * AGE) == []


def test_a_running_run_in_which_no_step_is_at_work_is_found(bench: Bench) -> None:
    """The worker died between the end of a step and the start of the next."""
    run = bench.started()
    pass_time(bench, AGE + 1)
    find = bench.ledger.recovery.stale_running_runs
    assert find(older_than_seconds=AGE) == []
    bench.sql("UPDATE batchord.steps SET state = 'done'")
    assert find(older_than_seconds=AGE) == [run.id]
    assert sweep(bench.parts(resend_after_seconds=AGE)) == [RunReady(run_id=run.id)]


def test_a_step_that_nobody_claimed_is_found_by_one_of_eight_sweeps(bench: Bench) -> None:
    """And again when it stays lost, after twice the time."""
    run = bench.started()
    pass_time(bench, AGE + 1)
    assert at_once(lambda: steps(bench)) == [(run.id, STEP)]
    assert steps(bench) == []
    pass_time(bench, AGE + 1)
    assert steps(bench) == []
    pass_time(bench, AGE)
    assert sweep(bench.parts(resend_after_seconds=AGE)) == [StepReady(run_id=run.id, step=STEP)]


def test_a_step_whose_planner_died_is_found_when_its_lease_has_run_out(bench: Bench) -> None:
    """Not before: a planner may take long over a large backlog."""
    run = bench.started()
    assert bench.ledger.runs.claim_step(run.id, STEP, lease_seconds=2 * AGE, worker="test:1") is not None
    pass_time(bench, AGE + 1)
    assert steps(bench) == []
    pass_time(bench, AGE + 1)
    assert steps(bench) == [(run.id, STEP)]


def test_shards_that_nobody_claimed_are_found_by_one_of_eight_sweeps(bench: Bench) -> None:
    """The whole chord was lost: all its shards come back together, with the queue that they belong to."""
    run_id, messages = bench.planned()
    assert messages == [ShardsReady(run_id=run_id, step=STEP, queue="table", indexes=(0, 1, 2))]
    pass_time(bench, AGE + 1)
    found = at_once(lambda: shards(bench))
    assert sorted(index for lost in found for index in lost.indexes) == [0, 1, 2]
    assert {(lost.run_id, lost.step, lost.queue) for lost in found} == {(run_id, STEP, "table")}


def test_only_shards_without_a_live_lease_are_found(bench: Bench) -> None:
    """Done, held and lost, side by side: the lost one is sent again."""
    run_id, _ = bench.planned()
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    bench.ledger.shards.claim(run_id, STEP, 1, lease_seconds=10 * AGE, worker="test:1")
    bench.ledger.shards.claim(run_id, STEP, 2, lease_seconds=1, worker="test:2")
    pass_time(bench, AGE + 1)
    assert shards(bench) == [LostStep(run_id=run_id, step=STEP, queue="table", indexes=(2,))]


def test_each_resend_waits_twice_as_long(bench: Bench) -> None:
    """A queue that is merely long must not be flooded; the wait stops growing at 64 times."""
    bench.planned()
    waits = []
    for _ in range(9):
        waited = 0
        while not shards(bench):
            pass_time(bench, AGE)
            waited += 1
        waits.append(waited)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64]


def test_a_released_shard_is_given_time_for_its_retry(bench: Bench) -> None:
    """Celery's own retry is on its way; the sweeper counts from the release."""
    run_id, _ = bench.planned()
    lease = bench.claim(run_id)
    pass_time(bench, AGE + 1)
    bench.ledger.shards.release(lease, "the store did not answer")
    assert [lost.indexes for lost in shards(bench)] == [(1, 2)]
    pass_time(bench, AGE + 1)
    assert [lost.indexes for lost in shards(bench)] == [(0,)]


def test_a_lost_end_is_found_by_one_of_eight_sweeps(bench: Bench) -> None:
    """All shards are done and the chord's body never came."""
    run_id, _ = bench.planned()
    for index in range(3):
        lease = bench.claim(run_id, index)
        bench.ledger.shards.finish(lease, ShardOutcome(found=0, timings={}))
    assert shards(bench) == [], "the body may be on its way"
    pass_time(bench, AGE + 1)
    assert at_once(lambda: shards(bench)) == [LostStep(run_id=run_id, step=STEP, queue="table", indexes=())]
    assert shards(bench) == []
    pass_time(bench, AGE + 1)
    assert sweep(bench.parts(resend_after_seconds=AGE)) == [StepEnded(run_id=run_id, step=STEP)]


def test_the_end_of_a_step_without_shards_can_be_lost_too(bench: Bench) -> None:
    """There was nothing to do, and the message that says so vanished."""
    bench.sql("TRUNCATE records")
    run_id, messages = bench.planned()
    assert messages == [StepEnded(run_id=run_id, step=STEP)]
    pass_time(bench, AGE + 1)
    assert shards(bench) == [LostStep(run_id=run_id, step=STEP, queue="table", indexes=())]


def test_runs_that_are_over_are_never_found(bench: Bench) -> None:
    """Whatever state their steps and shards were left in."""
    run_id, _ = bench.planned()
    lease = bench.claim(run_id)
    bench.ledger.shards.commit(lease, batch_of(1))
    with bench.ledger.runs.lock(run_id) as locked:
        locked.end(RunState.CANCELLED, {}, None)
    bench.run()
    pass_time(bench, 1000 * AGE)
    assert sweep(bench.parts(resend_after_seconds=AGE)) == []


def test_a_backlog_without_a_follow_up_is_found_until_there_is_one(bench: Bench) -> None:
    """The run ended and the message that asks for the next one vanished."""
    run_id, _ = bench.planned(max_shards=2)
    assert bench.ledger.recovery.backlogs() == [], "the run is still at work"
    for index in range(2):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=index)
    bench.sql("UPDATE batchord.steps SET state = 'done'")
    with bench.ledger.runs.lock(run_id) as locked:
        locked.end(RunState.SUCCEEDED, {}, None)
    assert sweep(bench.parts(resend_after_seconds=AGE)) == [BacklogLeft(pipeline=ITEMS, after_run=run_id)]
    first, _ = follow_up(bench.parts(), pipeline=ITEMS, after_run=run_id)
    again, _ = follow_up(bench.parts(), pipeline=ITEMS, after_run=run_id)
    assert first.id == again.id
    assert bench.ledger.recovery.backlogs() == []


def test_a_sweep_for_one_pipeline_leaves_the_others_alone(bench: Bench) -> None:
    """A local run works off what is lost of its own pipeline, and only that."""
    bench.declare(name="others", shard_rows=10)
    own, _ = bench.planned()
    other = bench.started("others")
    pass_time(bench, AGE + 1)
    assert sweep(bench.parts(), older_than_seconds=AGE, pipeline=ITEMS) == [
        ShardsReady(run_id=own, step=STEP, queue="table", indexes=(0, 1, 2))
    ]
    assert sweep(bench.parts(), older_than_seconds=AGE) == [StepReady(run_id=other.id, step=STEP)]
