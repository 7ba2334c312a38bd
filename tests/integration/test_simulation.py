"""The simulator: it finds nothing in the code as it is, finds what is put in on purpose, and repeats itself."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from tests.server_settings import server_settings
from tests.simulation.mutations import MUTATIONS, mutated
from tests.simulation.shrink import shrink, story
from tests.simulation.simulation import Outcome, Simulation

#: How many schedules each test plays. All of them together are what a minute has room for.
_CHUNK = 25
_TWICE = 25
_ALL = 200
#: How many deliveries a schedule without faults may take.
_MOST_DELIVERIES = 120
#: Of a fault that is put in on purpose: how many schedules it may take to find it.
_MOST = 1000
_REPEAT = """
import sys
from tests.simulation.simulation import Simulation
simulation = Simulation(sys.argv[1])
for seed in map(int, sys.argv[2:]):
    print(simulation.run(seed).digest)
simulation.close()
"""


@pytest.fixture
def simulation(database_url: str) -> Iterator[Simulation]:
    """A simulated stack with a database of its own."""
    simulation = Simulation(database_url)
    yield simulation
    simulation.close()


@pytest.fixture
def busy_server(database_url: str) -> Iterator[None]:
    """PostgreSQL vacuums and analyses all the time: when it does so must change no story."""
    at_once = dict.fromkeys(("vacuum_threshold", "analyze_threshold", "vacuum_insert_threshold"), "1")
    busy = {f"autovacuum_{name}": value for name, value in {"naptime": "1s", **at_once}.items()}
    with psycopg.connect(database_url, autocommit=True) as connection, server_settings(connection, **busy):
        yield


def _found_nothing(simulation: Simulation, seeds: range) -> list[Outcome]:
    outcomes = [simulation.run(seed) for seed in seeds]
    failed = [outcome for outcome in outcomes if outcome.findings]
    assert not failed, (
        f"{story(shrink(simulation, failed[0]))}\n\nmake simulate SEEDS=1 ARGS='--first {failed[0].seed}'"
    )
    assert all(0 < outcome.deliveries < _MOST_DELIVERIES for outcome in outcomes if not outcome.faults)
    return outcomes


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(_TWICE, _ALL, _CHUNK))
def test_nothing_is_found(simulation: Simulation, first: int) -> None:
    """Whatever is lost, doubled, late, killed, stopped or edited: all that must be so is so.

    Without faults, it takes few deliveries. Each test plays 25 schedules, which takes a busy machine a minute or more.
    """
    _found_nothing(simulation, range(first, first + _CHUNK))


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("busy_server")
@pytest.mark.parametrize("first", range(0, _TWICE, _CHUNK))
def test_nothing_is_found_and_a_seed_repeats_itself(simulation: Simulation, database_url: str, first: int) -> None:
    """In another process, with other hashes and in another order, it gives the same story and the same rows.

    Each test plays 25 schedules twice.
    """
    seeds = range(first, first + _CHUNK)
    here = [outcome.digest for outcome in _found_nothing(simulation, seeds)]
    simulation.close()
    # A fork of this process would have the same hashes.
    command = [sys.executable, "-c", _REPEAT, database_url, *(str(seed) for seed in reversed(seeds))]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    there = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    assert there == here[::-1]


def _first_failed(simulation: Simulation, name: str) -> Outcome:
    """Of a fault that is put in on purpose: the schedule that finds it."""
    seeds = (MUTATIONS[name].found_by, *range(_MOST))
    return next(outcome for seed in seeds if (outcome := simulation.run(seed)).findings)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_put_in_on_purpose_is_found(simulation: Simulation, name: str) -> None:
    """The seed that found it before finds it again, unless schedules have changed since; then another one does."""
    with mutated(name):
        assert _first_failed(simulation, name).findings


@pytest.mark.timeout(900)
def test_a_failed_schedule_is_cut_down_to_a_story(simulation: Simulation) -> None:
    """It has few decisions left, still fails in the same way, and says who did what and what changed in the ledger.

    It takes half a minute on a busy machine: to cut a schedule down means to play it eighty times.
    """
    name = "a function that may run once is not asked for"
    with mutated(name):
        failed = _first_failed(simulation, name)
        told = shrink(simulation, failed)
    assert any("may run once ran 2 times" in finding for finding in told.findings)
    assert len(told.taken) <= len(failed.taken) / 3
    text = story(told)
    assert "gets m" in text
    assert "attempt 2" in text
