"""A shard has one owner at a time, and only the owner writes, each record once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from batchord.core.errors import ConservationError, LeaseLost, TransientError
from batchord.core.run.leases import Claim, Lease, ShardLease, ShardOutcome
from batchord.core.run.messages import ShardsReady
from batchord.core.run.predictions import Batch, Predictions
from batchord.core.run.runs import RunState
from batchord.ledger import Ledger
from tests.integration.flow_parts import STEP, Bench, batch_of
from tests.waiting import wait_until


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline with four records, planned as one shard."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare()
        bench.insert(4)
        yield bench


@pytest.fixture
def run_id(bench: Bench) -> str:
    """The id of a run whose only shard is number 0."""
    run_id, messages = bench.planned()
    assert messages == [ShardsReady(run_id=run_id, step=STEP, queue="table", indexes=(0,))]
    return run_id


def done(found: int) -> ShardOutcome:
    """The end of a shard that found so many records."""
    return ShardOutcome(found=found, timings={"fetch": 0.1, "predict": 0.2, "write": 0.3})


def try_claim(bench: Bench, run_id: str, *, lease_seconds: float = 60, worker: str = "test:2") -> ShardLease | Claim:
    """Asks for the shard."""
    return bench.ledger.shards.claim(run_id, STEP, 0, lease_seconds=lease_seconds, worker=worker)


def shard(bench: Bench) -> tuple[str, int, int, int]:
    """State, attempt, predicted, rejected."""
    ((state, attempt, predicted, rejected),) = bench.sql(
        "SELECT state, attempt, predicted, rejected FROM batchord.shards"
    )
    return state, attempt, predicted, rejected


def test_a_claim_says_what_is_to_be_done(bench: Bench, run_id: str) -> None:
    """Its range and model as planned, and the attempt, which is in the ledger before any work is."""
    lease = bench.claim(run_id)
    assert (lease.work.first.key, lease.work.last.key, lease.work.planned) == (1, 4, 4)
    assert (lease.attempt, lease.work.accounted_before) == (1, 0)
    run = bench.ledger.runs.get(run_id)
    assert lease.work.window == (run.window_start, run.window_end)
    assert lease.work.model_version == bench.ledger.runs.get(run_id).models[STEP]
    assert shard(bench) == ("running", 1, 0, 0)


def test_a_live_lease_is_respected_and_a_dead_one_is_taken_over(bench: Bench, run_id: str) -> None:
    """HELD while it lives; then the next attempt, which knows what the first one wrote."""
    first = try_claim(bench, run_id, lease_seconds=1, worker="test:1")
    assert isinstance(first, Lease)
    assert bench.ledger.shards.commit(first, batch_of(1, 2, rejected=[3])) == 3
    assert try_claim(bench, run_id) is Claim.HELD
    wait_until(
        lambda: bench.value("SELECT lease_until < clock_timestamp() FROM batchord.shards"),
        description="the first lease ran out",
        timeout=5,
    )
    second = bench.claim(run_id, worker="test:2")
    assert (second.attempt, second.work.accounted_before, second.losses) == (2, 3, 1)


def test_an_owner_that_lost_the_lease_writes_nothing(bench: Bench, run_id: str) -> None:
    """Commit, renew and finish of the first owner raise LeaseLost; giving back and failing do nothing."""
    first = bench.claim(run_id, worker="test:1")
    bench.expire_leases()
    second = bench.claim(run_id, worker="test:2")
    with pytest.raises(LeaseLost, match=f"Shard 0 of step {STEP} in run {run_id}"):
        bench.ledger.shards.commit(first, batch_of(1, rejected=[2]))
    with pytest.raises(LeaseLost):
        bench.ledger.shards.renew(first, lease_seconds=60)
    with pytest.raises(LeaseLost):
        bench.ledger.shards.finish(first, done(0))
    bench.ledger.shards.release(first, "too late")
    bench.ledger.shards.fail(first, "too late")
    assert bench.outcomes() == {}
    assert shard(bench) == ("running", 2, 0, 0)
    assert bench.value("SELECT worker FROM batchord.shards") == "test:2"
    assert bench.ledger.shards.commit(second, batch_of(1, 2, 3, 4)) == 4


def test_an_owner_whose_lease_ran_out_unnoticed_may_go_on(bench: Bench, run_id: str) -> None:
    """Only a new owner's token shuts out the old one. An expired lease without a new owner costs nothing."""
    lease = bench.claim(run_id)
    bench.expire_leases()
    assert bench.ledger.shards.commit(lease, batch_of(1)) == 1
    bench.ledger.shards.renew(lease, lease_seconds=60)
    assert try_claim(bench, run_id) is Claim.HELD


def test_a_batch_committed_twice_counts_once(bench: Bench, run_id: str) -> None:
    """The caller is told how many records were new, so that a repeated commit does not inflate the counts."""
    lease = bench.claim(run_id)
    batch = batch_of(1, 2, rejected=[3])
    assert bench.ledger.shards.commit(lease, batch) == 3
    assert bench.ledger.shards.commit(lease, batch) == 0
    assert bench.ledger.shards.commit(lease, batch_of(3, 4, rejected=[1])) == 1, "one outcome per record, ever"
    assert shard(bench) == ("running", 1, 3, 1)
    assert bench.outcomes() == {"1": 0.5, "2": 0.5, "3": "bad", "4": 0.5}


def test_a_record_that_another_run_predicted_is_left_out(bench: Bench, run_id: str) -> None:
    """The rest of its batch is written, and counted."""
    lease = bench.claim(run_id)
    assert bench.ledger.shards.commit(lease, batch_of(2)) == 1
    assert bench.ledger.shards.commit(lease, batch_of(1, 2, 3)) == 2
    assert bench.outcomes() == {"1": 0.5, "2": 0.5, "3": 0.5}
    assert shard(bench) == ("running", 1, 3, 0)


def test_every_value_comes_back_as_it_was(bench: Bench) -> None:
    """Tabs, line ends, backslashes and what looks like a NULL, in keys, labels and outputs."""
    odd = ["tab\t", "line\n\r\n", "back\\slash", r"\N", r"\.", "", "é\u2028😀", "'\";--"]
    outputs: list[dict[str, Any] | None] = [{key: [key, 1.5, None, {"deep": key}]} for key in odd]
    scores = [0.1, -0.0, 1e-300, 1.7976931348623157e308, 1 / 3, None, 5.0, 2.0**60]
    digests = [0, -1, 2**63 - 1, -(2**63), 1, 2, 3, 4]
    labels: list[str | None] = [*odd[:-1], None]
    found = Predictions(keys=list(odd), labels=labels, scores=scores, outputs=outputs, digests=digests)
    bench.sql("ALTER TABLE records ALTER id DROP IDENTITY")
    bench.sql("ALTER TABLE records ALTER id TYPE text")
    run_id, _ = bench.planned()
    assert bench.ledger.shards.commit(bench.claim(run_id), Batch(predictions=found)) == len(odd)
    rows = bench.sql("SELECT record_key, label, score, output, input_digest FROM batchord.predictions")
    expected = zip(odd, labels, scores, outputs, digests, strict=True)
    assert sorted(rows, key=repr) == sorted(expected, key=repr)


def test_a_commit_is_written_as_a_whole_or_not_at_all(bench: Bench, run_id: str) -> None:
    """When the database refuses the rejections, the predictions of the same batch are gone as well."""
    lease = bench.claim(run_id)
    bench.sql("ALTER TABLE batchord.rejections ADD CHECK (record_key <> '4')")
    with pytest.raises(Exception, match="rejections_record_key_check"):
        bench.ledger.shards.commit(lease, batch_of(1, 2, rejected=[4]))
    assert bench.outcomes() == {}
    assert shard(bench) == ("running", 1, 0, 0)


def test_a_finished_shard_is_over(bench: Bench, run_id: str) -> None:
    """Its counts and times stay, its lease is gone, and a repeated message finds nothing to do."""
    lease = bench.claim(run_id)
    bench.ledger.shards.commit(lease, batch_of(1, 2, 3, rejected=[4]))
    bench.ledger.shards.finish(lease, done(4))
    assert shard(bench) == ("done", 1, 3, 1)
    assert bench.value("SELECT timings FROM batchord.shards") == {"fetch": 0.1, "predict": 0.2, "write": 0.3}
    assert try_claim(bench, run_id) is Claim.ENDED
    with pytest.raises(LeaseLost):
        bench.ledger.shards.commit(lease, batch_of(5))
    assert "5" not in bench.outcomes()


def test_a_wrong_count_cannot_be_finished(bench: Bench, run_id: str) -> None:
    """A shard that found more than it accounted for stays open, and says both figures."""
    lease = bench.claim(run_id)
    bench.ledger.shards.commit(lease, batch_of(1, 2))
    with pytest.raises(ConservationError, match="found 4 records but accounted for 2"):
        bench.ledger.shards.finish(lease, done(4))
    assert shard(bench) == ("running", 1, 2, 0)
    bench.ledger.shards.finish(lease, done(2))
    assert bench.value("SELECT discovered FROM batchord.shards") == 2


def test_a_shard_that_was_given_back_is_free_and_keeps_its_error(bench: Bench, run_id: str) -> None:
    """The next attempt needs not wait for the lease's end."""
    lease = bench.claim(run_id)
    bench.ledger.shards.commit(lease, batch_of(1))
    bench.ledger.shards.release(lease, "the store did not answer\x00")
    assert shard(bench) == ("pending", 1, 1, 0)
    assert bench.value("SELECT error FROM batchord.shards") == "the store did not answer\\u0000"
    again = bench.claim(run_id)
    assert (again.attempt, again.work.accounted_before) == (2, 1)


def test_a_failed_shard_is_over_and_says_why(bench: Bench, run_id: str) -> None:
    """What was predicted stays."""
    lease = bench.claim(run_id)
    bench.ledger.shards.commit(lease, batch_of(1))
    assert bench.ledger.shards.failure(run_id, STEP, 0) is None
    bench.ledger.shards.fail(lease, "the model is gone")
    assert bench.ledger.shards.failure(run_id, STEP, 0) == "the model is gone"
    assert bench.ledger.shards.failure(run_id, STEP, 7) is None
    assert shard(bench) == ("failed", 1, 1, 0)
    assert bench.value("SELECT error FROM batchord.shards") == "the model is gone"
    assert try_claim(bench, run_id) is Claim.ENDED


def test_shards_of_a_run_that_is_over_have_ended(bench: Bench, run_id: str) -> None:
    """Also a shard that nobody ever claimed, and one that does not exist."""
    with bench.ledger.runs.lock(run_id) as locked:
        locked.end(RunState.CANCELLED, {}, None)
    assert try_claim(bench, run_id) is Claim.ENDED
    assert bench.ledger.shards.claim(run_id, STEP, 7, lease_seconds=60, worker="test:2") is Claim.ENDED


def test_accounted_tells_predicted_and_rejected_keys_from_new_ones(bench: Bench, run_id: str) -> None:
    """Whatever the model's version; keys of other pipelines and steps are strangers."""
    lease = bench.claim(run_id)
    bench.ledger.shards.commit(lease, batch_of(1, rejected=[2]))
    bench.sql("UPDATE batchord.writers SET model_version = 'older'")
    assert bench.ledger.shards.accounted(lease.pipeline, STEP, [1, 2, 3]) == {1, 2}
    assert bench.ledger.shards.accounted("others", STEP, [1, 2, 3]) == set()
    assert bench.ledger.shards.accounted(lease.pipeline, "other", [1, 2, 3]) == set()


def test_a_session_that_stands_still_in_mid_transaction_gives_its_locks_up(bench: Bench, run_id: str) -> None:
    """Its process may be stopped for hours. Others that need the row wait no longer than a lease."""
    still = Ledger(bench.url, lock_seconds=0.5)
    with pytest.raises(TransientError, match=r"ledger's database .* failed: terminating"):
        _stand_still(still, run_id, until=lambda: _locked(bench, run_id))
    still.close()


def _stand_still(ledger: Ledger, run_id: str, *, until: Callable[[], None]) -> None:
    with ledger.runs.lock(run_id) as locked:
        until()
        locked.totals(STEP)


def _locked(bench: Bench, run_id: str) -> None:
    with bench.ledger.runs.lock(run_id) as taken_over:
        assert taken_over.run.id == run_id
