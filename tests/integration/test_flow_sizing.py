"""The size of shards follows from the times of earlier shards. A shard that takes far too long ends early."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord.core.reasons import LossCause
from batchord.core.run.messages import ShardsReady
from batchord.core.run.runs import RunState
from batchord.flow.begin.preview import preview
from batchord.flow.predict.shard import predict_shard
from tests.integration.flow_parts import ITEMS, STEP, Bench

RECORDS = 60


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline whose author sets no shard size."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare()
        bench.insert(RECORDS)
        yield bench


def test_a_run_leaves_what_it_learned_to_the_next(bench: Bench) -> None:
    """By model version and worker class. `batchord plan` shows it."""
    (before,) = preview(bench.parts(), pipeline=ITEMS)
    assert "this model version has no measured speed yet" in before.shard_size
    bench.run()
    ((worker_class, rate, shards),) = bench.sql("SELECT worker_class, records_per_second, shards FROM batchord.rates")
    assert (worker_class, shards) == ("cpu", 1)
    assert rate > 0
    bench.insert(RECORDS)
    (after,) = preview(bench.parts(), pipeline=ITEMS)
    assert after.shard_size == f"{rate:,.0f} records/s in 1 shard on cpu; 15 s for a shard"


def test_shards_are_as_large_as_their_time_allows(bench: Bench) -> None:
    """Three records in each, when that is what fits."""
    bench.run()
    bench.sql("UPDATE batchord.rates SET records_per_second = 300")
    bench.insert(RECORDS)
    bench.run(shard_seconds=0.01)
    sizes = bench.sql("SELECT DISTINCT planned FROM batchord.shards")
    assert (3,) in sizes
    bench.assert_exactly_once()


def test_a_shard_that_takes_far_too_long_is_divided(bench: Bench) -> None:
    """After the batch in hand; the rest becomes shards of their own, and the run goes on with them."""
    bench.declare(batch_rows=20)
    run = bench.run(shard_seconds=1e-9)
    assert run.state is RunState.SUCCEEDED
    assert (run.discovered, run.predicted) == (RECORDS, RECORDS)
    states = bench.sql(
        "SELECT state, planned, attempt, losses FROM batchord.shards WHERE step = %s ORDER BY index LIMIT 2", STEP
    )
    assert states == [("split", 20, 1, 0), ("done", 1, 1, 0)]
    assert bench.value("SELECT count(*) FROM batchord.shards") == 41
    ((rate,),) = bench.sql("SELECT records_per_second FROM batchord.rates")
    assert rate > 0
    bench.assert_exactly_once()


def test_a_size_that_the_author_gave_is_kept(bench: Bench) -> None:
    """However long it takes."""
    bench.declare(batch_rows=20, shard_rows=30)
    bench.run(shard_seconds=1e-9)
    assert bench.sql("SELECT state, planned FROM batchord.shards ORDER BY index") == [("done", 30), ("done", 30)]


def test_a_shard_is_not_divided_into_dust(bench: Bench) -> None:
    """Into 64 parts at the most, which may be divided in turn."""
    bench.insert(240)
    bench.declare(batch_rows=20)
    bench.run(shard_seconds=1e-9)
    parts = bench.sql("SELECT count(*), max(planned) FROM batchord.shards WHERE parent = 0")
    assert parts == [(56, 5)]
    bench.assert_exactly_once()


def test_a_record_that_kills_says_little_of_sizes(bench: Bench) -> None:
    """Its shard is halved down to it alone; the halves were small in search of it."""
    run_id, _ = bench.planned()
    for index in (0, 1, 3):
        for _ in range(2 if index == 0 else 1):
            lease = bench.claim(run_id, index, worker="dead:1")
            bench.ledger.shards.lose(run_id, STEP, index, worker="dead:1", cause=LossCause.KILLED, error="lost")
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=index)
    assert lease.work.planned < RECORDS // 2
    bench.run_on(run_id, [ShardsReady(run_id=run_id, step=STEP, queue="table", indexes=(2, 4, 5, 6))])
    assert bench.sql("SELECT most_rows FROM batchord.rates") == [(RECORDS // 2,)]


def test_a_class_of_workers_that_is_gone_is_forgotten(bench: Bench) -> None:
    """It would hold the others back for as long as the model's version lives."""
    bench.run()
    bench.sql(
        """
        INSERT INTO batchord.rates
            (pipeline, step, model_version, worker_class, records_per_second, shards, updated_at)
        SELECT pipeline, step, model_version, 'mps', 0.1, 9, now() - interval '8 days' FROM batchord.rates
        """
    )
    (step,) = preview(bench.parts(), pipeline=ITEMS)
    assert "on cpu" in step.shard_size


def test_a_shard_that_exhausted_its_memory_makes_the_next_ones_smaller(bench: Bench) -> None:
    """Half of its size at most, whatever the speed."""
    bench.run()
    bench.sql("UPDATE batchord.rates SET records_per_second = 1000")
    many = "INSERT INTO records (body) SELECT 'x' FROM generate_series(1, 6000)"
    bench.sql(many)
    run_id, messages = bench.planned()
    for _ in range(2):
        lease = bench.claim(run_id, worker="dead:1")
        bench.ledger.shards.lose(run_id, STEP, 0, worker="dead:1", cause=LossCause.OUT_OF_MEMORY, error="lost")
    assert lease.work.planned == 3000
    bench.run_on(run_id, messages)
    assert bench.sql("SELECT most_rows FROM batchord.rates") == [(1500,)]
    bench.sql(many)
    (step,) = preview(bench.parts(), pipeline=ITEMS)
    assert step.shard_size == "at most 1,500, since a larger shard ran out of memory"
    assert step.largest_shard <= 1500 + 250  # a piece more
