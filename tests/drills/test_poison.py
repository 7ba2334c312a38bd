"""A record that kills its worker, or never ends, costs itself alone."""

import os

from tests.drills.drill import Drill
from tests.waiting import wait_until

_FULL = "BATCHORD_DRILLS_FULL" in os.environ
_POISONED = """
        if (frame["body"] == "poison").any():
            {act}
        return frame["body"].str.len()
"""


def test_a_record_that_crashes_its_worker_costs_itself_alone(drill: Drill) -> None:
    """One of 10,000: the search for it costs a restart for each halving, not for each batch or each record."""
    cluster = drill.cluster
    cluster.insert_notes(9_600)
    cluster.sql("UPDATE notes SET body = 'poison' WHERE id = 7654")
    drill.declare(
        _POISONED.format(act="os.kill(os.getpid(), signal.SIGSEGV)").strip(), batch_rows=500, shard_rows=10_000
    )
    cluster.start("control", "worker", "beat")
    drill.run()
    wait_until(lambda: "(SIGSEGV)" in cluster.log("worker"), description="the record kills a worker's process")
    drill.injected()
    drill.settle(timeout=240)
    assert cluster.sql("SELECT record_key, reason FROM batchord.rejections") == [("7654", "killed-worker")]
    # Two of the first shard, one for each of at most 14 halvings, two of the record's own.
    assert 4 <= cluster.log("worker").count("exited with 'signal 11 (SIGSEGV)'") <= 2 + 14 + 2
    assert cluster.sql("SELECT count(*) FROM batchord.predictions") == [(9_999,)]
    drill.check()


def test_a_record_that_never_ends_costs_itself_alone(drill: Drill) -> None:
    """The time limit ends every process that predicts it, until it is alone in a shard."""
    cluster = drill.cluster
    cluster.sql("UPDATE notes SET body = 'poison' WHERE id = 121")
    if not _FULL:  # each halving lasts as long as the time limit
        cluster.sql("DELETE FROM notes WHERE id NOT BETWEEN 120 AND 123")
    drill.declare(_POISONED.format(act="threading.Event().wait()").strip())
    # The limit must leave a fresh process the time to import what it needs; pandas is there already.
    cluster.start("control", "worker", "beat", include="pandas", BATCHORD_SHARD_TIME_LIMIT_SECONDS="3")
    drill.run()
    wait_until(lambda: "Hard time limit" in cluster.log("worker"), description="the record outlasts its time")
    drill.injected()
    drill.settle(timeout=240)
    assert cluster.sql("SELECT record_key, reason FROM batchord.rejections") == [("121", "out-of-time")]
    assert 4 <= cluster.log("worker").count("Hard time limit (3s) exceeded") <= 2 + 8 + 2
    drill.check()
