"""Drills of leases: who stands still loses the shard, and whoever comes back late writes nothing."""

import signal

import psutil

from tests.drills.drill import Drill
from tests.waiting import wait_until


def test_a_worker_that_was_stopped_past_its_lease_writes_nothing(drill: Drill) -> None:
    """Another takes its shard over; continued after that, it is fenced by its old token."""
    cluster = drill.cluster
    cluster.start("control", "worker", "beat", faults={"worker": "before-batch-commit=stop@4"})
    drill.run()
    drill.wait_until_fired("before-batch-commit")
    stopped = wait_until(lambda: _stopped(drill), description="a pool child is stopped before a commit")
    drill.settle()
    before = cluster.sql("SELECT record_key, attempt, predicted_at FROM batchord.predictions ORDER BY record_key")
    for process in stopped:
        process.send_signal(signal.SIGCONT)
    # Beat must be silent for that: its sweeps are messages, too.
    cluster.stop("beat")
    drill.wait_until_idle()
    after = cluster.sql("SELECT record_key, attempt, predicted_at FROM batchord.predictions ORDER BY record_key")
    assert after == before
    assert cluster.sql("SELECT max(attempt) FROM batchord.predictions") == [(2,)]
    drill.check()


def _stopped(drill: Drill) -> list[psutil.Process]:
    return [process for process in drill.cluster.pool("worker") if process.status() == psutil.STATUS_STOPPED]
