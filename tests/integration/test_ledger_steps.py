"""The right to plan a step: one worker has it, and a worker that lost it writes nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from batchord.core.run.frontier import Frontier
from batchord.core.run.key_columns import KeyColumn
from batchord.core.run.leases import StepLease
from batchord.core.run.plans import Plan
from batchord.core.run.records import Position
from batchord.core.run.runs import RunState, StepState
from batchord.core.run.shards import ShardRange
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.waiting import wait_until


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline with three records."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare()
        bench.insert(3)
        yield bench


def claim(bench: Bench, run_id: str, *, lease_seconds: float = 60) -> StepLease | None:
    """Asks for the right to plan the run's step."""
    return bench.ledger.runs.claim_step(run_id, STEP, lease_seconds=lease_seconds, worker="test:1")


def plan_of(records: int) -> Plan:
    """A plan of one shard."""
    first, last = (Position(arrival=None, key=key) for key in (1, records))
    return Plan(
        shards=[ShardRange(first=first, last=last, planned=records)],
        queue="table",
        model_version="length@1",
        source_digest="digest",
        key=KeyColumn(name="id", type="bigint"),
        frontier=Frontier(position=last),
        backlog_left=False,
    )


def state(bench: Bench, run_id: str) -> StepState:
    """The step's state."""
    with bench.ledger.runs.lock(run_id) as locked:
        return locked.steps[0].state


def test_of_eight_workers_one_may_plan(bench: Bench) -> None:
    """A message that is delivered eight times plans once."""
    run = bench.started()
    barrier = Barrier(8)

    def claim_one(_: int) -> StepLease | None:
        barrier.wait()
        return claim(bench, run.id)

    with ThreadPoolExecutor(8) as threads:
        leases = [lease for lease in threads.map(claim_one, range(8)) if lease is not None]
    assert [lease.attempt for lease in leases] == [1]


def test_a_lease_that_ran_out_is_taken_over_and_the_attempt_is_counted(bench: Bench) -> None:
    """The next worker needs no message from the one that died."""
    run = bench.started()
    assert claim(bench, run.id, lease_seconds=0.2) is not None
    assert claim(bench, run.id) is None
    second = wait_until(lambda: claim(bench, run.id), description="the first lease ran out", timeout=5)
    assert second is not None
    assert second.attempt == 2


def test_a_renewed_lease_is_kept(bench: Bench) -> None:
    """Renewing moves the end; it works until somebody else took over."""
    run = bench.started()
    first = claim(bench, run.id)
    assert first is not None
    bench.expire_leases()
    assert bench.ledger.runs.renew_step(first, lease_seconds=60)
    assert claim(bench, run.id) is None
    bench.expire_leases()
    assert claim(bench, run.id) is not None
    assert not bench.ledger.runs.renew_step(first, lease_seconds=60)


def test_a_step_that_was_given_back_can_be_claimed_at_once(bench: Bench) -> None:
    """Its error is kept for people to see until the step is planned."""
    run = bench.started()
    lease = claim(bench, run.id)
    assert lease is not None
    bench.ledger.runs.release_step(lease, "the source is down \x00")
    assert bench.value("SELECT error FROM batchord.steps") == "the source is down \\u0000"
    again = claim(bench, run.id)
    assert again is not None
    assert again.attempt == 2
    assert bench.ledger.planner.plan(again, plan_of(3))
    assert bench.value("SELECT error FROM batchord.steps") is None


def test_a_planner_without_a_lease_writes_nothing(bench: Bench) -> None:
    """Shards, frontier and the model's version are the new owner's; the old one can neither plan nor give back."""
    run = bench.started()
    first = claim(bench, run.id)
    bench.expire_leases()
    second = claim(bench, run.id)
    assert first is not None
    assert second is not None
    assert not bench.ledger.planner.plan(first, plan_of(99))
    bench.ledger.runs.release_step(first, "too late")
    assert state(bench, run.id) is StepState.PLANNING
    assert bench.value("SELECT count(*) FROM batchord.shards") == 0
    assert bench.value("SELECT count(*) FROM batchord.frontiers") == 0
    assert bench.ledger.planner.plan(second, plan_of(3))
    assert bench.ledger.runs.get(run.id).discovered == 3
    assert bench.ledger.runs.get(run.id).models == {STEP: "length@1"}


def test_a_plan_is_written_once(bench: Bench) -> None:
    """The second time its lease is used up, and a planned step cannot be claimed."""
    run = bench.started()
    lease = claim(bench, run.id)
    assert lease is not None
    assert bench.ledger.planner.plan(lease, plan_of(3))
    assert not bench.ledger.planner.plan(lease, plan_of(3))
    assert claim(bench, run.id) is None
    assert bench.value("SELECT count(*) FROM batchord.shards") == 1


def test_a_step_of_a_run_that_is_over_cannot_be_claimed(bench: Bench) -> None:
    """A message that comes after the end of its run changes nothing."""
    run = bench.started()
    with bench.ledger.runs.lock(run.id) as locked:
        locked.end(RunState.CANCELLED, {}, None)
    assert claim(bench, run.id) is None


def test_a_frontier_counts_only_for_the_source_that_it_was_made_with(bench: Bench) -> None:
    """Another query may give other records: discovery begins at the beginning."""
    run = bench.started()
    lease = claim(bench, run.id)
    assert lease is not None
    assert bench.ledger.planner.plan(lease, plan_of(3))
    assert bench.ledger.planner.frontier(ITEMS, STEP, "digest").position == Position(arrival=None, key=3)
    other = bench.catalog.get(ITEMS).predict_step(STEP).source_digest
    assert bench.ledger.planner.frontier(ITEMS, STEP, other) == Frontier()
