"""Workers die and messages vanish; the run still ends once, with every record predicted once."""

import signal

import redis

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_GATED = """
    import threading
    from pathlib import Path
    from batchord import Pipeline, Predict, SqlSource

    FOLDER = Path({folder!r})

    def gated(frame):
        # The first call waits at a gate, so that the test can kill its process in mid-shard.
        if 60 in frame.index and not (FOLDER / "open").exists():
            print("at the gate")
            (FOLDER / "reached").touch()
            while not (FOLDER / "open").exists():
                threading.Event().wait(0.01)
        return frame["body"].str.len()

    notes = Pipeline(
        "notes",
        steps=[Predict(
            "predict",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=gated,
            batch_rows=10,
            shard_rows=200,
        )],
    )
"""


def test_a_worker_killed_in_mid_shard_costs_only_time(notes: Cluster) -> None:
    """The worker and its children are killed between two batches. Another worker predicts the missing records."""
    notes.insert_notes(400)
    notes.pipeline("notes", _GATED.format(folder=str(notes.folder)))
    notes.start("control", "worker", "beat")
    notes.call("batchord.start_run", pipeline="notes")
    wait_until((notes.folder / "reached").exists, description="the model is in mid-shard")
    wait_until(
        lambda: notes.sql("SELECT count(*) FROM batchord.predictions")[0][0] >= 50,
        description="batches before the gate were committed",
    )
    notes.kill("worker", signal.SIGKILL)
    (notes.folder / "open").touch()
    notes.wait_for_records("notes", "notes")
    attempts = dict(notes.sql("SELECT attempt, count(*) FROM batchord.predictions GROUP BY attempt ORDER BY attempt"))
    assert set(attempts) == {1, 2}, "the second attempt did only what was missing"
    assert len(notes.runs("notes")) == 1
    assert notes.runs("notes")[0]["state"] == "succeeded"
    notes.assert_exactly_once("notes", "notes")


def test_a_pool_child_killed_in_mid_shard_costs_only_time(notes: Cluster) -> None:
    """The same for one pool child. Its worker survives, and what the child had printed is shown."""
    notes.insert_notes(400)
    notes.pipeline("notes", _GATED.format(folder=str(notes.folder)))
    # A lease that lasts longer than a busy machine may take to tell the worker's parent how its child ended.
    notes.start("control", "worker", "beat", BATCHORD_LEASE_SECONDS="15")
    notes.call("batchord.start_run", pipeline="notes")
    wait_until((notes.folder / "reached").exists, description="the model is in mid-shard")
    (worker,) = notes.sql("SELECT worker FROM batchord.shards WHERE index = 0")
    victim = int(worker[0].rpartition(":")[2])
    wait_until(lambda: notes.sql("SELECT 1 FROM batchord.attempt_logs"), description="a line is stored")
    (child,) = [process for process in notes.pool("worker") if process.pid == victim]
    child.send_signal(signal.SIGKILL)
    (notes.folder / "open").touch()
    notes.wait_for_records("notes", "notes")
    assert notes.runs("notes")[0]["state"] == "succeeded"
    notes.assert_exactly_once("notes", "notes")
    said = notes.batchord("logs", "notes").stdout
    assert "predict/0 #1 stdout at the gate" in said
    assert "predict/0 #1: The process was lost (killed), so the last lines may be missing" in " ".join(said.split())


def test_redis_flushed_after_the_publish_is_swept(notes: Cluster, redis_url: str) -> None:
    """The chord's messages vanish before any worker reads them; the sweeper sends the shards again."""
    notes.insert_notes(3000)
    notes.start("control", "beat")
    notes.call("batchord.start_run", pipeline="notes")
    wait_until(
        lambda: notes.sql("SELECT count(*) FROM batchord.shards")[0][0] > 0, description="the shards are committed"
    )
    with redis.Redis.from_url(redis_url) as broker:
        wait_until(lambda: broker.llen("table") > 0, description="the chord is published")
        broker.flushdb()
    notes.start("worker")
    notes.wait_for_records("notes", "notes")
    assert [run["state"] for run in notes.runs("notes")] == ["succeeded"]
    notes.assert_exactly_once("notes", "notes")


def test_a_planner_killed_before_it_published_is_swept(notes: Cluster, redis_url: str) -> None:
    """A step that was sent and whose message vanished before any worker read it is sent again."""
    notes.insert_notes(100)
    notes.call("batchord.start_run", pipeline="notes")
    notes.start("control", "worker", "beat")
    notes.wait_for_records("notes", "notes")
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
    notes.insert_notes(100)
    wait_until(lambda: notes.log("beat").count("Acquired lock") >= 2, description="beat was started again")
    notes.call("batchord.start_run", pipeline="notes")
    notes.wait_for_records("notes", "notes")
    notes.assert_exactly_once("notes", "notes")
