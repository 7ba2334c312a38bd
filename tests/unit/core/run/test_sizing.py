"""Shards aim at a time: what the ledger knows of a model's speed becomes a number of records."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.run.sizing import MOST_ROWS, Rate, ShardTaken, estimate, learned

SECONDS = 15.0


def rows_after(rates: list[Rate], **more: int | None) -> int:
    """The number of records that a shard should have."""
    values = {"declared": None, "usual": 1000, "least": 100, **more}
    return estimate(rates, seconds=SECONDS, **values).rows  # type: ignore[arg-type]  # a mapping of known names


def test_what_the_author_says_holds() -> None:
    """Whatever was measured."""
    known = [Rate(worker_class="cpu", records_per_second=1e6, shards=9)]
    found = estimate(known, declared=7, usual=1000, least=100, seconds=SECONDS)
    assert (found.rows, found.least_rows, found.grows) == (7, 7, False)


def test_nothing_is_known_at_first() -> None:
    """The model's usual size, but small shards come first."""
    found = estimate([], declared=None, usual=1000, least=100, seconds=SECONDS)
    assert (found.rows, found.least_rows, found.grows) == (1000, 100, True)
    assert "this model version has no measured speed yet" in found.why


@pytest.mark.parametrize("speed", [0.2, 3.0, 40.0, 25_000.0])
def test_shards_take_their_time_whatever_the_model(speed: float) -> None:
    """From a model that takes five seconds for a record to one that takes microseconds."""
    rates = learned([], [ShardTaken(worker_class="cpu", rows=round(speed * 30), seconds=30.0)])
    assert rows_after(rates) / speed == pytest.approx(SECONDS if speed < MOST_ROWS / SECONDS else 10, rel=0.1)


def test_the_slowest_class_of_workers_decides() -> None:
    """Any of them may get any shard."""
    fast, slow = (
        Rate(worker_class=name, records_per_second=speed, shards=3) for name, speed in (("cuda", 900.0), ("cpu", 60.0))
    )
    assert rows_after([fast, slow]) == 900
    assert (
        "60 records/s in 3 shards on cpu"
        in estimate([fast, slow], declared=None, usual=1, least=1, seconds=SECONDS).why
    )


@given(st.integers(0, 2**32), st.floats(0.5, 5000), st.floats(0.0, 0.5))
def test_a_size_settles_however_noisy_the_machine(seed: int, speed: float, noise: float) -> None:
    """In a simulation of ten runs the shards come to take the wanted time, within the noise."""
    chance, rates = Random(seed), list[Rate]()  # noqa: S311 -- no secret
    for _ in range(10):
        rows = rows_after(rates)
        shards = [
            ShardTaken(worker_class="cpu", rows=rows, seconds=rows / (speed * chance.uniform(1 - noise, 1 + noise)))
            for _ in range(4)
        ]
        rates = learned(rates, shards)
    aimed = min(speed * SECONDS, MOST_ROWS)
    assert aimed * (1 - noise) * 0.9 - 1 <= rows_after(rates) <= aimed * (1 + noise) * 1.1 + 1


def test_a_model_that_becomes_slower_gets_smaller_shards() -> None:
    """Half of the way with each run."""
    rates = [Rate(worker_class="cpu", records_per_second=100.0, shards=50)]
    sizes = []
    for _ in range(4):
        rates = learned(rates, [ShardTaken(worker_class="cpu", rows=100, seconds=10.0)])
        sizes.append(rows_after(rates))
    assert sizes == [825, 488, 319, 234]


def test_a_shard_that_exhausts_its_memory_makes_the_next_ones_smaller() -> None:
    """Half as large, each time; after a run without, they grow again."""
    rates = learned([], [ShardTaken(worker_class="cpu", rows=1500, seconds=15.0)])
    assert rows_after(rates) == 1500
    sizes = []
    for killed in (True, True, False, False):
        rows = rows_after(rates)
        rates = learned(rates, [ShardTaken(worker_class="cpu", rows=rows, seconds=rows / 100, out_of_memory=killed)])
        sizes.append(rows_after(rates))
    assert sizes == [750, 375, 750, 1500]
    assert learned([], [ShardTaken(worker_class="cpu", rows=1, seconds=1.0, out_of_memory=True)])[0].most_rows == 1


def test_a_shard_is_never_smaller_than_is_worth_a_task() -> None:
    """Whatever was killed: records stream in batches, which a smaller shard would not make smaller."""
    rates = learned([], [ShardTaken(worker_class="cpu", rows=8, seconds=0.0, out_of_memory=True)])
    found = estimate(rates, declared=None, usual=1000, least=100, seconds=SECONDS)
    assert (found.rows, found.least_rows, found.grows) == (100, 100, True)


def test_small_runs_say_little() -> None:
    """Ten runs of three records, which measure everything except the model, do not replace what was learned."""
    rates = [Rate(worker_class="cpu", records_per_second=15_000.0, shards=50)]
    for _ in range(10):
        rates = learned(rates, [ShardTaken(worker_class="cpu", rows=3, seconds=0.05)])
    assert rates[0].records_per_second > 14_000


def test_what_others_measured_stays() -> None:
    """A run that no card took part in says nothing of cards."""
    card = Rate(worker_class="cuda", records_per_second=900.0, shards=3)
    rates = learned([card], [ShardTaken(worker_class="cpu", rows=100, seconds=1.0)])
    assert card in rates
    assert len(rates) == 2
