"""A pipeline whose predictions a person forgets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchord.core.run.history import Actor, Way
from batchord.core.run.resets import StepResults
from batchord.flow.upkeep.reset import reset
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of

ADA = Actor(user="ada", host="desk", way=Way.COMMAND)


@contextmanager
def predicted_bench(database_url: str, folder: Path) -> Iterator[Bench]:
    """Ten predicted records and a rejected one, and a frontier at the last."""
    with Bench(database_url, folder) as bench:
        bench.insert(10)
        bench.declare()
        run_id, shards = bench.planned()
        bench.ledger.shards.commit(bench.claim(run_id), batch_of(rejected=[3]))
        bench.expire_leases()
        assert bench.run_on(run_id, shards).predicted == 9
        bench.run()
        yield bench


def forget(bench: Bench, steps: tuple[str, ...] = (STEP,), pipeline: str = ITEMS) -> list[StepResults]:
    """Resets steps, by Ada."""
    return reset(bench.parts(), pipeline=pipeline, steps=steps, actor=ADA)


def outcomes(bench: Bench) -> int:
    """How many predictions and rejections there are."""
    return len(bench.outcomes())
