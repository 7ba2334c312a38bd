"""Drills of workers that are stopped by SIGTERM at work: their shards end in time or are handed over."""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.drills.drill import Drill
from tests.drills.gate import Gate
from tests.waiting import wait_until


def test_a_shard_that_can_end_in_time_ends(drill: Drill) -> None:
    """The worker waits for it and then exits. No other worker has to touch the shard."""
    cluster, gate = drill.cluster, Gate(drill)
    cluster.start("control", "worker", "beat", BATCHORD_SHUTDOWN_SECONDS="5")
    drill.run()
    gate.wait_until_reached()
    with ThreadPoolExecutor() as hands:
        drill.injected()
        stopping = hands.submit(_seconds_to_stop, drill, "worker")
        wait_until(lambda: "Initiating Soft Shutdown" in cluster.log("worker"), description="the worker waits")
        gate.open()
        # Less than the time after which the test would kill the worker.
        assert stopping.result() < 25
    drill.settle()
    assert "Restoring" not in cluster.log("worker"), "it hands nothing back"
    assert cluster.sql("SELECT attempt, losses FROM batchord.shards") == [(1, 0)] * 2
    drill.check()


def test_a_shard_that_cannot_end_in_time_is_handed_over(drill: Drill) -> None:
    """The worker still exits by itself. Another one predicts the rest."""
    cluster, gate = drill.cluster, Gate(drill)
    # Too long to wait for: the test passes only if the shard is given back, not taken over.
    long = {"BATCHORD_LEASE_SECONDS": "600", "BATCHORD_RESEND_AFTER_SECONDS": "600"}
    cluster.start("control", "worker", "beat", BATCHORD_SHUTDOWN_SECONDS="1", **long)
    drill.run()
    gate.wait_until_reached()
    cluster.start("worker2", **long)
    drill.injected()
    assert _seconds_to_stop(drill, "worker") < 25
    assert "Restoring 1 unacknowledged message" in cluster.log("worker")
    gate.open()
    drill.settle()
    assert cluster.sql("SELECT attempt, losses FROM batchord.shards ORDER BY index") == [(2, 0), (1, 0)]
    ((worker,),) = cluster.sql("SELECT worker FROM batchord.shards WHERE index = 0")
    assert int(worker.rpartition(":")[2]) in [process.pid for process in cluster.pool("worker2")]
    assert cluster.sql(
        "SELECT attempt, count(*) FROM batchord.predictions WHERE shard = 0 GROUP BY attempt ORDER BY attempt"
    ) == [(1, 40), (2, 160)]
    drill.check()


def _seconds_to_stop(drill: Drill, name: str) -> float:
    began = time.monotonic()
    drill.cluster.stop(name)
    return time.monotonic() - began
