"""Processes that play schedules, each on a database of its own."""

import os
from collections.abc import Iterable
from urllib.parse import urlsplit

import psycopg

from tests.simulation.mutations import mutated
from tests.simulation.shrink import shrink
from tests.simulation.simulation import Outcome, Simulation

_simulations: list[Simulation] = []


def prepare(url: str) -> None:
    """Gives this process a database of its own."""
    name = f"simulation_{os.getpid()}"
    address = urlsplit(url)
    with psycopg.connect(address._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {address.path[1:]}".encode())
    _simulations.append(Simulation(address._replace(path=f"/{name}").geturl()))


def played(seed: int) -> Outcome:
    """Plays a schedule."""
    return _simulations[0].run(seed)


def shrunk(outcome: Outcome) -> Outcome:
    """Cuts a failed schedule down."""
    return shrink(_simulations[0], outcome)


def found(name: str, seeds: Iterable[int]) -> tuple[str, int | None, str]:
    """The first seed that finds a mutation, and what it finds."""
    with mutated(name):
        for seed in seeds:
            outcome = played(seed)
            if outcome.findings:
                return name, seed, outcome.findings[0][:150]
    return name, None, ""
