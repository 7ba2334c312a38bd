"""Drills of the chord: its body comes twice, too late, never; and must not come too early."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_client

from tests.drills.drill import Drill
from tests.waiting import wait_until

#: The chord's size, counted parts, and claim, each under the chord's id and a letter.
_CHORD = "celery-taskset-meta-*"
#: A point of the worker that is only counted: it never comes to the hundredth pass.
_BODIES = "before-publish:batchord.finish_step"
_COUNT_BODIES = {"worker": f"{_BODIES}=raise@100"}
#: The model notes what it predicts. The first shard waits in its first batch until the test releases it.
_MODEL = """
        with (FOLDER / "predicted").open("a") as file:
            file.writelines(f"{key}\\n" for key in frame.index)
        while 1 in frame.index and not (FOLDER / "open").exists():
            threading.Event().wait(0.01)
        return frame["body"].str.len()
""".strip()


@pytest.fixture
def broker(redis_url: str) -> Iterator[Any]:
    """The drill's Redis."""
    with redis_client.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def test_a_chord_body_that_comes_twice_changes_nothing_the_second_time(drill: Drill, broker: Any) -> None:
    """The worker dies after it published the body; its message comes back when its claim is over."""
    cluster = drill.cluster
    # No beat: here the chord's body ends the step, not the sweeper.
    cluster.start(
        "control",
        "worker",
        faults={"worker": "after-publish:batchord.finish_step=kill-parent@1"},
        BATCHORD_VISIBILITY_TIMEOUT_SECONDS="3",
    )
    drill.run()
    drill.wait_until_fired("after-publish:batchord.finish_step")
    # The claim lasts for half a minute; this stands for its end.
    assert broker.delete(*broker.scan_iter(f"{_CHORD}.c")) == 1
    drill.settle()
    ended = _ledger(drill)
    wait_until(lambda: len(_bodies_received(drill)) == 2, description="the body comes a second time", timeout=30)
    drill.wait_until_idle()
    assert len(_bodies_received(drill)) == 2
    assert _ledger(drill) == ended
    drill.check()


def test_a_child_that_dies_after_the_body_has_its_message_come_again_for_nothing(drill: Drill, broker: Any) -> None:
    """Nobody kept that the task had ended; the ledger knows that the shard has. The chord's leftovers expire."""
    cluster = drill.cluster
    cluster.start(
        "control",
        "worker",
        faults={"worker": "after-publish:batchord.finish_step=kill@1"},
        BATCHORD_VISIBILITY_TIMEOUT_SECONDS="3",
    )
    drill.run()
    drill.wait_until_fired("after-publish:batchord.finish_step")
    drill.settle()
    ended = _ledger(drill)
    ((shards,),) = cluster.sql("SELECT count(*) FROM batchord.shards")
    wait_until(lambda: len(_shards_received(drill)) > shards, description="the message comes again", timeout=30)
    drill.wait_until_idle()
    assert _ledger(drill) == ended
    assert len(_bodies_received(drill)) == 1
    leftovers = list(broker.scan_iter(_CHORD))
    assert leftovers
    assert all(broker.ttl(key) > 0 for key in leftovers)
    drill.check()


def test_a_chord_whose_keys_expire_in_mid_run_is_ended_by_the_sweeper(drill: Drill, broker: Any) -> None:
    """The last part finds the chord's counter gone and does not publish the body."""
    drill.declare(_MODEL)
    drill.cluster.start("control", "worker", "beat", faults=_COUNT_BODIES)
    drill.run()
    wait_until(
        lambda: [broker.zcard(key) for key in broker.scan_iter(f"{_CHORD}.j")] == [1],
        description="the second shard's part is counted",
    )
    keys = list(broker.scan_iter(_CHORD))
    assert {key[-2:] for key in keys} >= {".j", ".s"}
    assert broker.delete(*keys) == len(keys)
    drill.injected()
    (drill.folder / "open").touch()
    drill.settle()
    assert drill.passes(_BODIES) == 0
    drill.check()


def test_a_shard_that_outlives_the_visibility_timeout_is_predicted_once(drill: Drill) -> None:
    """Its duplicate meets a live lease and is ignored, and the chord does not count it."""
    drill.declare(_MODEL)
    cluster = drill.cluster
    cluster.start("control", "worker", faults=_COUNT_BODIES, BATCHORD_VISIBILITY_TIMEOUT_SECONDS="2")
    drill.run()
    wait_until(
        lambda: re.search(r"batchord\.predict_shard\[.*\] ignored", cluster.log("worker")),
        description="the duplicate of the first shard's message is ignored",
    )
    drill.injected()
    assert cluster.sql("SELECT index, state FROM batchord.shards ORDER BY index") == [(0, "running"), (1, "done")]
    assert drill.passes(_BODIES) == 0
    (drill.folder / "open").touch()
    drill.settle()
    drill.wait_until_idle()
    assert drill.passes(_BODIES) == 1
    assert cluster.sql("SELECT attempt, losses FROM batchord.shards") == [(1, 0), (1, 0)]
    predicted = (drill.folder / "predicted").read_text().split()
    assert sorted(map(int, predicted)) == list(range(1, 401))
    drill.check()


def _bodies_received(drill: Drill) -> list[str]:
    return re.findall(r"batchord\.finish_step\[.*\] received", drill.cluster.log("control"))


def _shards_received(drill: Drill) -> list[str]:
    return re.findall(r"batchord\.predict_shard\[.*\] received", drill.cluster.log("worker"))


def _ledger(drill: Drill) -> list[Any]:
    tables = ("runs", "steps", "shards", "predictions")
    return [
        drill.cluster.sql(f"SELECT row.*::text FROM batchord.{table} AS row ORDER BY 1")  # noqa: S608 -- see `tables`
        for table in tables
    ]
