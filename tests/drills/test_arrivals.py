"""Drills of arrivals: records that become visible long after others that came later, at ticks of a real beat."""

import os
import random
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from tests.drills.drill import SOURCE, Drill
from tests.waiting import wait_until

_BY_KEY = '"SELECT id, body FROM notes", key="id"'
#: What orders the records of each source, as one value.
_ORDER = {SOURCE: "ROW(note.created_at, note.id)", _BY_KEY: "note.id"}
_INSERT = "INSERT INTO notes (body) VALUES ('late') RETURNING id"
_WRITERS = 6
_SECONDS = 60 if "BATCHORD_DRILLS_FULL" in os.environ else 8

#: A transaction in three acts, separated by ``yield``: what it does before others arrive, what it does after runs
#: have looked past it, and its end. Both yields give the key of its record, once that is known.
Late = Generator[int | None]


def _insert_held_open(session: psycopg.Connection) -> Late:
    key = _one(session, _INSERT)
    yield key
    yield key
    session.commit()


def _time_taken_long_before_the_first_write(session: psycopg.Connection) -> Late:
    session.execute("SELECT now()")
    yield None
    # A minute before the real start: the value of its own now() if it had been open for a minute.
    yield _one(
        session, "INSERT INTO notes (body, created_at) VALUES ('late', now() - interval '1 minute') RETURNING id"
    )
    session.commit()


def _number_taken_long_before_its_insert(session: psycopg.Connection) -> Late:
    key = _one(session, "SELECT nextval(pg_get_serial_sequence('notes', 'id'))")
    yield key
    session.execute("INSERT INTO notes (id, body) OVERRIDING SYSTEM VALUE VALUES (%s, 'late')", [key])
    yield key
    session.commit()


def _prepared_transaction(session: psycopg.Connection) -> Late:
    key = _one(session, _INSERT)
    # The name is the server's, not the database's.
    name = f"drill-{session.info.dbname}"
    session.execute(f"PREPARE TRANSACTION '{name}'".encode())
    end = "ROLLBACK"
    try:
        yield key
        yield key
        end = "COMMIT"
    finally:  # a thread left behind would outlive the test and keep its database from being dropped
        session.rollback()
        session.autocommit = True
        session.execute(f"{end} PREPARED '{name}'".encode())


@pytest.mark.parametrize(
    ("late", "source"),
    [
        (_insert_held_open, SOURCE),
        (_time_taken_long_before_the_first_write, SOURCE),
        (_number_taken_long_before_its_insert, _BY_KEY),
        (_prepared_transaction, SOURCE),
    ],
    ids=["insert-held-open", "time-taken-early", "number-taken-early", "prepared"],
)
def test_a_record_that_commits_long_after_later_ones_is_predicted(
    drill: Drill, late: Callable[[psycopg.Connection], Late], source: str
) -> None:
    """Two ticks and more have looked past its position; once it is committed, the next one finds it."""
    cluster = drill.cluster
    drill.declare(source=source, schedule="every(seconds=1)")
    with psycopg.connect(cluster.database_url) as session, closing(late(session)) as acts:
        next(acts)
        cluster.insert_notes(10)
        cluster.start("control", "worker", "beat")
        cluster.wait_for_records("notes", "notes")
        _wait_for_empty_runs(drill, 1)
        key = next(acts)
        drill.injected()
        _wait_for_empty_runs(drill, 1)
        # Every run so far began when the transaction was open, and saw nothing of it.
        assert cluster.sql("SELECT count(*) FROM notes WHERE id = %s", key) == [(0,)]
        next(acts, None)
    drill.settle()
    assert _passed_over(drill, source) == 1
    _check(drill, source)


def test_a_gap_that_was_rolled_back_holds_nothing_up(drill: Drill) -> None:
    """Numbers that were taken and given up are passed as soon as their transaction is over."""
    cluster = drill.cluster
    drill.declare(source=_BY_KEY, schedule="every(seconds=1)")
    with psycopg.connect(cluster.database_url) as session:
        gap = [_one(session, _INSERT) for _ in range(3)]
        cluster.insert_notes(10)
        cluster.start("control", "worker", "beat")
        cluster.wait_for_records("notes", "notes")
        _wait_for_empty_runs(drill, 2)
        assert cluster.sql("SELECT position FROM batchord.frontiers") == [(None,)]
        drill.injected()
        session.rollback()
    drill.settle()
    assert cluster.sql("SELECT count(*), max(id) FROM notes WHERE id >= %s", gap[0]) == [(10, gap[-1] + 10)]
    _check(drill, _BY_KEY)


def test_six_writers_at_random_lose_nothing(drill: Drill) -> None:
    """They take numbers early, hold transactions open, give some up, prepare some; a tick comes each second."""
    cluster = drill.cluster
    # By number: where times order the records, the frontier stays a second behind, and few transactions last longer.
    drill.declare(source=_BY_KEY, schedule="every(seconds=1)")
    cluster.start("control", "worker", "beat")
    stop = threading.Event()
    with ThreadPoolExecutor(_WRITERS) as threads:
        writers = [threads.submit(_write, cluster.database_url, seed, stop) for seed in range(_WRITERS)]
        drill.injected()
        stop.wait(_SECONDS)
        try:
            # A source that reads only above the last record that it saw would have lost these.
            late = "a record was predicted after one above it"
            wait_until(lambda: _passed_over(drill, _BY_KEY), description=late, timeout=120)
        finally:
            stop.set()
        kept = sum(writer.result() for writer in writers)
    drill.settle()
    assert cluster.sql("SELECT count(*) FROM notes") == [(400 + kept,)]
    _check(drill, _BY_KEY)


def _write(url: str, seed: int, stop: threading.Event) -> int:
    """Writes until told to stop; returns how many records it committed."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, guards nothing
    kept = 0
    with psycopg.connect(url, autocommit=True) as session:
        while not stop.is_set():
            session.execute("BEGIN")
            early = _one(session, "SELECT nextval(pg_get_serial_sequence('notes', 'id'))")
            stop.wait(chance.uniform(0, 0.1))
            session.execute("INSERT INTO notes (id, body) OVERRIDING SYSTEM VALUE VALUES (%s, 'early')", [early])
            session.execute(_INSERT.encode())
            stop.wait(chance.expovariate(10))
            end = chance.choices(("COMMIT", "ROLLBACK", "PREPARE"), weights=(70, 15, 15))[0]
            if end == "PREPARE":
                name = f"drill-{session.info.dbname}-{early}"
                session.execute(f"PREPARE TRANSACTION '{name}'".encode())
                stop.wait(chance.uniform(0, 0.3))
                end = f"COMMIT PREPARED '{name}'"
            session.execute(end.encode())
            kept += 0 if end == "ROLLBACK" else 2
    return kept


def _one(session: psycopg.Connection, query: str) -> int:
    row = session.execute(query.encode()).fetchone()
    assert row is not None
    number: int = row[0]
    return number


def _wait_for_empty_runs(drill: Drill, count: int) -> None:
    """Waits until so many more runs have discovered no records."""
    query = "SELECT count(*) FROM batchord.runs WHERE discovered = 0 AND state = 'succeeded'"
    before = drill.cluster.sql(query)[0][0]
    wait_until(lambda: drill.cluster.sql(query)[0][0] >= before + count, description="more runs found nothing")


def _passed_over(drill: Drill, source: str) -> int:
    """Records that lie below one which an earlier run has predicted."""
    (found,) = drill.cluster.sql(
        f"""
        WITH predicted AS (
            SELECT {_ORDER[source]} AS place, run.created_at AS run_at FROM notes AS note
            JOIN batchord.predictions AS prediction ON prediction.record_key = note.id::text
            JOIN batchord.runs AS run ON run.id = prediction.run_id
        )
        SELECT count(*) FROM predicted AS late
        WHERE late.place < (SELECT max(early.place) FROM predicted AS early WHERE early.run_at < late.run_at)
        """  # noqa: S608 -- the order comes from this module
    )
    passed: int = found[0]
    return passed


def _check(drill: Drill, source: str) -> None:
    """The frontier comes to stand at the last record, since nothing holds it back any more; then as always."""
    stands = f"""
        SELECT position ->> 1 = (SELECT note.id::text FROM notes AS note ORDER BY {_ORDER[source]} DESC LIMIT 1)
        FROM batchord.frontiers
    """  # noqa: S608 -- as above
    wait_until(
        lambda: drill.cluster.sql(stands) == [(True,)],
        description="the frontier moves up to the last record",
    )
    # No run may be open: the last tick's comes to its end.
    drill.cluster.stop("beat")
    drill.wait_until_idle()
    drill.check(runs=None)
