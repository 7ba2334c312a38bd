"""Drills of memory: a record that takes without end costs itself alone."""

from tests.drills.drill import Drill

_GREEDY = """
        taken = []
        while {place}:
            taken.append(bytearray(16 * 1024 * 1024))
        return frame["body"].str.len()
"""


def test_a_record_that_exhausts_memory_costs_itself_alone(drill: Drill) -> None:
    """Its process meets its limit long before the machine does, and the record is rejected as out-of-memory.

    Each process that lacked memory ends by itself, after its task; no lease runs out, and the worker lives.
    """
    cluster = drill.cluster
    cluster.sql("UPDATE notes SET body = 'poison' WHERE id = 121")
    drill.declare(_GREEDY.format(place='(frame["body"] == "poison").any()'))
    cluster.start("control", "worker", "beat", BATCHORD_MEMORY_LIMIT_MB="800")
    before = {process.pid for process in cluster.pool("worker")}
    drill.injected()
    drill.run()
    drill.settle()
    assert cluster.sql("SELECT record_key, reason FROM batchord.rejections") == [("121", "out-of-memory")]
    assert {process.pid for process in cluster.pool("worker")} != before, "those that were full are gone"
    assert cluster.sql("SELECT count(*) FROM batchord.shards WHERE error LIKE '%vanished%'") == [(0,)]
    drill.check()
