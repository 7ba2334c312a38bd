"""Workers that die over a shard are counted, the causes are kept, and a shard is halved by its owner alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from batchord.core.errors import LeaseLost
from batchord.core.reasons import LossCause
from batchord.core.run.leases import Claim, ShardLease, ShardOutcome
from batchord.core.run.records import Position
from batchord.core.run.shards import ShardRange
from tests.integration.flow_parts import STEP, Bench, batch_of

KILLED = "lost: signal 9 (SIGKILL)"
HALVES = [
    ShardRange(first=Position(arrival=None, key=first), last=Position(arrival=None, key=last), planned=2)
    for first, last in ((1, 2), (3, 4))
]


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline with eight records in shards of four."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare(shard_rows=4)
        bench.insert(8)
        yield bench


@pytest.fixture
def run_id(bench: Bench) -> str:
    """The run, with shards 0 and 1."""
    return bench.planned()[0]


def lose(bench: Bench, run_id: str, *, worker: str = "dead:1", error: str = KILLED) -> bool:
    """The word of a dead worker's parent about shard 0."""
    return bench.ledger.shards.lose(run_id, STEP, 0, worker=worker, cause=LossCause.ENDED, error=error)


def test_a_lost_workers_shard_is_free_at_once(bench: Bench, run_id: str) -> None:
    """Its lease would have lasted a minute. The next attempt knows the loss, its cause and the finished records."""
    lease = bench.claim(run_id, worker="dead:1")
    bench.ledger.shards.commit(lease, batch_of(1, rejected=[2]))
    assert lose(bench, run_id)
    again = bench.claim(run_id, worker="next:2")
    assert (again.attempt, again.losses, again.work.accounted_before, again.last_error) == (2, 1, 2, KILLED)
    with pytest.raises(LeaseLost):
        bench.ledger.shards.commit(lease, batch_of(3))


def test_a_loss_is_counted_once(bench: Bench, run_id: str) -> None:
    """The parent may say it twice, or after the lease ran out and another worker took over."""
    bench.claim(run_id, worker="dead:1")
    assert lose(bench, run_id)
    assert not lose(bench, run_id)
    assert bench.claim(run_id, worker="next:2").losses == 1
    assert not lose(bench, run_id)
    bench.expire_leases()
    assert bench.claim(run_id, worker="third:3").losses == 2


def test_what_the_server_forgot_is_no_loss(bench: Bench, run_id: str) -> None:
    """No worker could renew a lease while the server was down, so the worker may still live."""
    bench.claim(run_id, worker="alive:1")
    bench.expire_leases()
    bench.sql("UPDATE batchord.shards SET renewed_at = pg_postmaster_start_time() - interval '1 second'")
    again = bench.claim(run_id, worker="next:2")
    assert (again.attempt, again.losses, again.last_error) == (2, 0, None)


def test_what_is_handed_back_is_no_loss(bench: Bench, run_id: str) -> None:
    """A worker that was asked to stop is not a sign of a bad record."""
    bench.claim(run_id, worker="told:1")
    said = "handed back: its worker was told to stop"
    assert bench.ledger.shards.lose(run_id, STEP, 0, worker="told:1", cause=LossCause.STOPPED, error=said, loss=False)
    again = bench.claim(run_id, worker="next:2")
    assert (again.attempt, again.losses, again.last_error) == (2, 0, said)


def test_a_worker_that_holds_nothing_loses_nothing(bench: Bench, run_id: str) -> None:
    """Another worker's shard, and one that is done, stay as they are."""
    assert not lose(bench, run_id)
    lease = bench.claim(run_id, worker="alive:2")
    assert not lose(bench, run_id)
    bench.ledger.shards.commit(lease, batch_of(1, 2, 3, 4))
    bench.ledger.shards.finish(lease, ShardOutcome(found=4, timings={}))
    assert not lose(bench, run_id, worker="alive:2")
    assert bench.sql("SELECT state, losses, error FROM batchord.shards WHERE index = 0") == [("done", 0, None)]


def test_the_causes_of_all_losses_are_kept(bench: Bench, run_id: str) -> None:
    """In their order; what PostgreSQL cannot hold is written visibly."""
    for error in (KILLED, "lost: exit\x00code 3"):
        bench.claim(run_id, worker="dead:1")
        assert lose(bench, run_id, error=error)
    bench.claim(run_id, worker="dead:1")
    bench.expire_leases()
    lease = bench.claim(run_id, worker="next:2")
    assert lease.losses == 3
    assert lease.last_error == f"{KILLED}; lost: exit\\u0000code 3; lost: the worker vanished"
    assert lease.cause is LossCause.VANISHED
    assert bench.column("SELECT cause FROM batchord.attempts WHERE state = 'lost' ORDER BY attempt") == [
        "ended",
        "ended",
        "vanished",
    ]


def test_an_attempt_that_was_given_back_is_no_loss(bench: Bench, run_id: str) -> None:
    """The source was away, which does not make any record suspect."""
    bench.ledger.shards.release(bench.claim(run_id), "the source did not answer")
    lease = bench.claim(run_id)
    assert (lease.attempt, lease.losses, lease.last_error) == (2, 0, "the source did not answer")


def test_a_process_takes_its_own_shard_up_again(bench: Bench, run_id: str) -> None:
    """It could not give it back while the database was away; that costs an attempt and is no loss."""
    bench.claim(run_id, worker="same:1")
    again = bench.claim(run_id, worker="same:1")
    assert (again.attempt, again.losses, again.last_error) == (2, 0, None)
    held = bench.ledger.shards.claim(run_id, STEP, 0, lease_seconds=60, worker="other:2")
    assert held is Claim.HELD


def test_a_shard_is_split_by_its_owner_alone(bench: Bench, run_id: str) -> None:
    """Whoever lost the lease adds no shard."""
    late = bench.claim(run_id, worker="late:1")
    bench.expire_leases()
    owner = bench.claim(run_id, worker="owner:2")
    with pytest.raises(LeaseLost):
        bench.ledger.shards.split(late, HALVES, losses=1)
    assert bench.value("SELECT count(*) FROM batchord.shards") == 2
    assert bench.ledger.shards.split(owner, HALVES, losses=1) == [2, 3]
    with pytest.raises(LeaseLost):
        bench.ledger.shards.split(owner, HALVES, losses=1)


def test_two_shards_that_split_at_once_get_indexes_of_their_own(bench: Bench, run_id: str) -> None:
    """Both add to one step in the same moment."""
    leases = [bench.claim(run_id, index) for index in (0, 1)]
    barrier = Barrier(2)

    def split(lease: ShardLease) -> list[int]:
        barrier.wait()
        return bench.ledger.shards.split(lease, HALVES, losses=1)

    with ThreadPoolExecutor(2) as threads:
        found = [index for indexes in threads.map(split, leases) for index in indexes]
    assert sorted(found) == [2, 3, 4, 5]
    assert bench.column("SELECT state FROM batchord.shards ORDER BY index") == ["split"] * 2 + ["pending"] * 4


def test_a_split_shard_counts_what_it_did_and_its_halves_the_rest(bench: Bench, run_id: str) -> None:
    """No record is planned twice: the step's totals stay."""
    lease = bench.claim(run_id)
    bench.ledger.shards.commit(lease, batch_of(1, 2))
    bench.ledger.shards.split(lease, HALVES[1:], losses=1)
    assert bench.sql("SELECT planned, discovered, predicted, losses FROM batchord.shards WHERE index <> 1") == [
        (2, 2, 2, 0),
        (2, 2, 0, 1),
    ]
    assert bench.ledger.shards.claim(run_id, STEP, 0, lease_seconds=60, worker="test:2") is Claim.ENDED
