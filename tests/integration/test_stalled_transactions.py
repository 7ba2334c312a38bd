"""Whoever stands still in the middle of a statement keeps no lock past a lease."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.errors import TransientError
from batchord.flow.upkeep.recover import sweep
from batchord.ledger import Ledger
from batchord.ledger.connection import Connections
from tests.integration.flow_parts import Bench
from tests.waiting import wait_until

_LEASE = 0.2
_STANDING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND wait_event = 'ClientRead'
      AND state_change < clock_timestamp() - make_interval(secs => %s)
"""


@pytest.fixture
def bench(database_url: str, database_roles: DatabaseRoles, tmp_path: Path) -> Iterator[Bench]:
    """A table that stands for any that is locked, and a ledger whose sessions belong to one role."""
    with Bench(database_url, tmp_path) as bench, closing(Ledger(database_roles.ledger)) as ledger:
        bench.ledger = ledger
        yield bench


def _stand_still(connections: Connections, *, go_on: threading.Event, raised: list[Exception]) -> None:
    """Holds a row's lock, begins a COPY, and sends no more of it until it is told to."""
    try:
        with connections.transaction(writes_results=True) as connection:
            connection.execute("UPDATE public.records SET body = 'locked' WHERE id = 1")
            with connection.cursor() as cursor, cursor.copy("COPY public.records (body) FROM STDIN") as copy:
                copy.write("half a li")
                go_on.wait()
    except TransientError as error:
        raised.append(error)


@pytest.fixture
def standing(bench: Bench, database_roles: DatabaseRoles) -> Iterator[list[Exception]]:
    """A thread that stands still in a COPY for longer than a lease; what it raised when it went on."""
    bench.insert(1)
    raised: list[Exception] = []
    go_on = threading.Event()
    connections = Connections(database_roles.ledger, lock_seconds=_LEASE)
    thread = threading.Thread(target=_stand_still, args=(connections,), kwargs={"go_on": go_on, "raised": raised})
    thread.start()
    try:
        wait_until(lambda: bench.value(_STANDING, _LEASE) == 1, description="a COPY stands still")
        yield raised
    finally:
        go_on.set()
        thread.join()
        connections.close()


def test_a_process_that_stands_still_in_a_copy_loses_its_locks(bench: Bench, standing: list[Exception]) -> None:
    """PostgreSQL alone would wait for it for ever: no time-out runs while a client sends."""
    sweep(replace(bench.parts(lease_seconds=_LEASE), ledger=bench.ledger))

    with psycopg.connect(bench.url) as other:
        other.execute("SET LOCAL lock_timeout = '20s'")
        assert other.execute("UPDATE records SET body = 'free' WHERE id = 1").rowcount == 1
    assert bench.value("SELECT count(*) FROM records") == 1
    assert standing == [], "it does not know yet"


@pytest.mark.usefixtures("standing")
def test_one_that_stands_still_for_less_than_a_lease_is_left_alone(bench: Bench) -> None:
    """It may only be slow."""
    assert bench.ledger.recovery.end_stalled(lease_seconds=300) == 0
    assert bench.value(_STANDING, _LEASE) == 1


def test_an_application_that_stands_still_is_left_alone(bench: Bench) -> None:
    """Its transaction is none of ours, though the role may be the same."""
    bench.insert(1)
    with psycopg.connect(bench.url) as application, application.cursor() as cursor:
        with cursor.copy("COPY records (body) FROM STDIN") as copy:
            copy.write("a line\n")
            wait_until(lambda: bench.value(_STANDING, _LEASE) == 1, description="a COPY stands still")
            assert bench.ledger.recovery.end_stalled(lease_seconds=_LEASE) == 0
        application.commit()
    assert bench.value("SELECT count(*) FROM records") == 2
