"""Drills of deploys: workers of two releases read each other's messages."""

from tests.drills.drill import Drill
from tests.waiting import wait_until

_NEXT = "tests.drills.next_release"


def test_messages_of_the_next_release_wait_for_its_workers(drill: Drill) -> None:
    """Planned by the next release: a worker of this one hands the shards back until it is replaced."""
    cluster = drill.cluster
    cluster.start("worker", "beat")
    cluster.start("control2", include=_NEXT)
    drill.run()
    wait_until(
        lambda: "predict_shard has version 3, but this worker understands only versions up to" in cluster.log("worker"),
        description="a shard is handed back",
    )
    drill.injected()
    assert cluster.sql("SELECT max(attempt) FROM batchord.shards") == [(0,)]
    cluster.start("worker2", include=_NEXT)
    cluster.stop("worker")
    drill.settle()
    drill.check()


def test_messages_that_are_too_new_for_everyone_are_sent_again_by_the_sweeper(drill: Drill) -> None:
    """The next release was rolled back: its messages are dropped after some time, and their work is not."""
    cluster = drill.cluster
    cluster.start("control2", include=_NEXT)
    drill.run()
    wait_until(
        lambda: cluster.sql("SELECT count(*) FROM batchord.shards") == [(2,)], description="the shards are planned"
    )
    cluster.stop("control2")
    drill.injected()
    cluster.start("control", "worker", "beat", BATCHORD_RETRY_CEILING_SECONDS="0.2")
    drill.settle()
    wait_until(
        lambda: "The message is dropped; the sweeper sends its work again" in cluster.log("worker"),
        description="a message is dropped",
    )
    drill.check()


def test_a_worker_of_the_next_release_reads_the_messages_of_this_one(drill: Drill) -> None:
    """Planned by this release, predicted by the next; keywords that a task does not know are ignored."""
    cluster = drill.cluster
    cluster.start("control", "beat")
    cluster.start("worker2", include=_NEXT)
    drill.injected()
    cluster.send("batchord.start_run", pipeline="notes", colour="blue", version=1)
    drill.settle()
    drill.check()


def test_a_pipeline_that_a_worker_does_not_know_yet_is_handed_back(drill: Drill) -> None:
    """A tick for a new pipeline meets a worker that was started before its file came."""
    cluster = drill.cluster
    file = cluster.pipelines / "notes.py"
    written = file.read_text(encoding="utf-8")
    file.unlink()
    cluster.start("control", "worker", "beat")
    drill.run()
    wait_until(
        lambda: "This worker does not know the pipeline of batchord.start_run" in cluster.log("control"),
        description="the tick is handed back",
    )
    drill.injected()
    file.write_text(written, encoding="utf-8")
    cluster.start("control2", "worker2")
    cluster.stop("control")
    cluster.stop("worker")
    drill.settle()
    drill.check()
