"""Drills of sizes: nothing to do, a single shard, as many as one run may have, and more than one run may take."""

import pytest

from tests.drills.drill import Drill


def test_no_records(drill: Drill) -> None:
    """A run over an empty table succeeds without a shard; a record that comes later is found by the next."""
    cluster = drill.cluster
    cluster.sql("DELETE FROM notes")
    cluster.start("control", "worker", "beat")
    for runs in (1, 2):
        drill.run()
        drill.wait_until_runs(runs)
    assert cluster.sql("SELECT count(*) FROM batchord.shards") == [(0,)]
    cluster.insert_notes(1)
    drill.run()
    drill.settle()
    drill.check(runs=("succeeded",) * 3)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("records", "shard_rows", "shards"), [(400, 400, 1), (1_000, 1, 1_000)])
def test_so_many_shards_in_one_run(drill: Drill, records: int, shard_rows: int, shards: int) -> None:
    """Each is predicted once, at its first attempt, although the sweeper sends a thousand again: they wait for long.

    Over 30 seconds: a thousand shards are a thousand messages, leases and transactions, which is what is tried.
    """
    cluster = drill.cluster
    cluster.insert_notes(records - 400)
    drill.declare(batch_rows=400, shard_rows=shard_rows)
    cluster.start("control", "worker", "beat", BATCHORD_PARALLELISM="1", BATCHORD_RESEND_AFTER_SECONDS="4")
    drill.run()
    drill.settle(timeout=600)
    assert cluster.sql("SELECT count(*), min(attempt), max(attempt) FROM batchord.shards") == [(shards, 1, 1)]
    assert cluster.sql("SELECT bool_or(resent > 0) FROM batchord.shards") == [(shards > 1,)]
    drill.check()


def test_a_backlog_larger_than_one_run(drill: Drill) -> None:
    """Five shards of twenty records are a run's share here; follow-ups go on until nothing is left."""
    cluster = drill.cluster
    drill.declare(shard_rows=20)
    cluster.start("control", "worker", "beat", BATCHORD_MAX_SHARDS="5")
    drill.run()
    drill.settle()
    drill.wait_until_idle()
    assert cluster.sql("SELECT kind, discovered, predicted FROM batchord.runs ORDER BY created_at") == [
        ("manual", 100, 100),
        *[("follow-up", 100, 100)] * 3,
    ]
    drill.check(runs=("succeeded",) * 4)
