"""Many workers, doubled messages and leases that end too early: every record is still predicted once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from batchord.core.run.messages import ShardsReady, StepEnded
from batchord.core.run.runs import RunState
from batchord.flow.drive.finish import finish_step
from batchord.flow.predict.plan import plan_step
from batchord.flow.predict.shard import ShardHeld, predict_shard
from batchord.flow.upkeep.recover import sweep
from tests.integration.flow_parts import STEP, Bench
from tests.waiting import wait_until

WORKERS = 6
DELIVERIES = 3


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """120 records in shards of 10, in batches of 2."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(120)
        bench.declare(shard_rows=10, batch_rows=2)
        yield bench


def test_every_message_three_times_in_any_order_over_six_workers(bench: Bench) -> None:
    """Planners, shards and ends overlap; leases are declared dead while their owners work."""
    run = bench.started()
    parts = bench.parts(max_attempts=50)
    chance = Random(7)  # noqa: S311 -- an order, no secret

    def plan(_: int) -> list[int]:
        sent = next(iter(plan_step(parts, run_id=run.id, step=STEP)), None)
        return list(sent.indexes) if isinstance(sent, ShardsReady) else []

    def predict(index: int) -> None:
        with suppress(ShardHeld):
            predict_shard(parts, run_id=run.id, step=STEP, index=index)
        finish_step(parts, run_id=run.id, step=STEP)

    def kill_leases() -> None:
        while not over.wait(0.02):
            bench.expire_leases()

    over = threading.Event()
    killer = threading.Thread(target=kill_leases)
    with ThreadPoolExecutor(WORKERS) as workers:
        (indexes,) = filter(None, workers.map(plan, range(DELIVERIES)))
        killer.start()
        deliveries = indexes * DELIVERIES
        chance.shuffle(deliveries)
        try:
            list(workers.map(predict, deliveries))
        finally:
            over.set()
            killer.join()
    wait_until(lambda: _swept_to_its_end(bench, run.id), description="the sweeper took what was left", timeout=20)
    ended = bench.ledger.runs.get(run.id)
    assert (ended.state, ended.discovered, ended.predicted) == (RunState.SUCCEEDED, 120, 120)
    bench.assert_exactly_once()


def _swept_to_its_end(bench: Bench, run_id: str) -> bool:
    parts = bench.parts(resend_after_seconds=0.01, max_attempts=50)
    bench.expire_leases()
    for message in sweep(parts):
        if isinstance(message, ShardsReady | StepEnded):
            bench.run_on(run_id, [message], max_attempts=50)
    return bench.ledger.runs.get(run_id).state.ended
