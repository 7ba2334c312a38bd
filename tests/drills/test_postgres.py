"""Drills of PostgreSQL: it dies in mid-commit, commits without an answer, and cuts connections."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.localstack import Server, start_servers
from tests.drills.drill import Drill
from tests.drills.own_servers import process_of
from tests.drills.postgres_proxy import CommitCuttingProxy
from tests.waiting import wait_until

#: Makes the transaction that predicts one of some records wait for the test, at its very end: in COMMIT.
_HOLD_IN_COMMIT = """
    SELECT batchord.make_results('notes', 'predict', 'id', 'bigint');
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared(NEW.id); RETURN NULL; END
    $$;
    CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON batchord_results.notes__predict DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION hold()
"""
_HELD = """
    SELECT pid FROM pg_locks JOIN pg_stat_activity AS session USING (pid)
    WHERE locktype = 'advisory' AND objid = %s AND NOT granted AND query = 'COMMIT' AND datname = current_database()
"""
_CUT_ALL = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'batchord-%' AND pg_terminate_backend(pid)
"""
_LEFT = "SELECT FROM pg_stat_activity WHERE pid = ANY(%s)"
#: What each kind of transaction says, and no other.
_TRANSACTIONS = {
    "opens a run": b"INSERT INTO batchord.runs",
    "plans": b"INSERT INTO batchord.shards",
    "claims a shard": b"attempt = shard.attempt + 1",
    "writes a batch": b'COPY "batchord_results"."notes__predict"',
    "ends a shard": b"SET state = 'done', discovered",
    "ends a run": b"summary = $2",
}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT], ids=["killed", "stopped at once"])
def test_postgresql_is_restarted_in_mid_commit(own_drill: Drill, own_home: Path, number: signal.Signals) -> None:
    """A batch is in its COMMIT when the server goes; workers wait for it and go on."""
    cluster = own_drill.cluster
    server = process_of(own_home, Server.POSTGRES)
    with _held_in_commit(own_drill, [60]) as session:
        cluster.start("control", "worker", "beat")
        own_drill.run()
        _wait_until_held(session, 60)
        server.send_signal(number)
        own_drill.injected()
        server.wait(timeout=20)
    start_servers(own_home)
    own_drill.settle(timeout=30)
    own_drill.check()
    assert cluster.sql("SELECT attempt > 1, losses FROM batchord.shards WHERE index = 0") == [(True, 0)]


def test_connections_to_postgresql_are_cut_again_and_again(drill: Drill) -> None:
    """Three times all of Batchord's sessions are terminated, each time with one of them in its COMMIT."""
    cluster = drill.cluster
    records = [60, 120, 300]
    with _held_in_commit(drill, records) as session:
        cluster.start("control", "worker", "beat")
        drill.run()
        for record in records:
            held = _wait_until_held(session, record)
            cut = [process for (process,) in session.execute(_CUT_ALL)]
            drill.injected()
            assert held in cut
            wait_until(
                lambda cut=cut: not session.execute(_LEFT, [cut]).fetchall(),  # type: ignore[misc]
                description="these sessions are over",
            )
            session.execute("SELECT pg_advisory_unlock(%s)", [record])
        drill.settle(timeout=30)
    drill.check()
    assert cluster.sql("SELECT sum(attempt) >= 5 FROM batchord.shards") == [(True,)]


@pytest.mark.parametrize("arrives", [True, False], ids=["done without an answer", "never heard of"])
def test_the_connection_is_lost_at_a_commit(drill: Drill, *, arrives: bool) -> None:
    """Once at each kind of transaction it is unknown whether it was committed. No work is lost or done twice."""
    cluster = drill.cluster
    ledger = cluster.environment["BATCHORD_DATABASE_URL"]
    with CommitCuttingProxy(ledger, _TRANSACTIONS.values(), arrives=arrives) as proxy:
        cluster.environment["BATCHORD_DATABASE_URL"] = proxy.database_url
        cluster.start("control", "worker", "beat")
        drill.injected()
        drill.run()
        drill.settle(timeout=30)
        assert not proxy.left
    drill.check()


@contextmanager
def _held_in_commit(drill: Drill, records: Sequence[int]) -> "Iterator[psycopg.Connection[Any]]":
    """A session without which the batches of these records cannot be committed, until it lets go of their locks."""
    drill.cluster.sql(_HOLD_IN_COMMIT)
    with psycopg.connect(drill.cluster.database_url, autocommit=True) as session:
        for record in records:
            session.execute("SELECT pg_advisory_lock(%s)", [record])
        yield session


def _wait_until_held(session: "psycopg.Connection[Any]", record: int) -> int:
    """The process of the session whose COMMIT waits."""
    held: list[tuple[int]] = wait_until(
        lambda: session.execute(_HELD, [record]).fetchall(), description=f"record {record} is in its COMMIT"
    )
    return held[0][0]
