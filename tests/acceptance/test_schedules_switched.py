"""Schedules are switched by the command line while beat runs, which sees it within seconds."""

import json

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_RARE = """
    from batchord import Pipeline, Python, every

    def nothing():
        pass

    rare = Pipeline("rare", schedule=every(days=1000), steps=[Python("nothing", nothing)])
"""
#: Seconds within which beat sees a switch and workers see beat's message.
_SOON = 15


def test_a_schedule_is_switched_paused_resumed_and_reset(notes: Cluster) -> None:
    """The running beat sees each change, and ``schedule`` and ``pipelines`` show it.

    Over 30 seconds: beat reads the switches every few seconds, and the test switches four times.
    """
    notes.pipeline("rare", _RARE)
    notes.start("control", "worker", "beat")
    assert _schedule(notes) == ("every 1000 days", False, False)

    notes.batchord("schedule", "rare", "--every", "2s")
    _wait_for_runs(notes, 2)
    assert _schedule(notes) == ("every 2 seconds", True, False)
    slots = notes.sql("SELECT extract(epoch FROM slot)::bigint % 2 FROM batchord.runs WHERE slot IS NOT NULL")
    assert set(slots) == {(0,)}

    assert json.loads(notes.batchord("pause", "rare", "--json").stdout)["changed"] is True
    wait_until(lambda: ", paused" in notes.log("beat"), description="beat sees the pause", timeout=_SOON)
    assert _schedule(notes) == ("every 2 seconds", True, True)
    assert json.loads(notes.batchord("pause", "rare", "--json").stdout)["changed"] is False
    before = len(_slots(notes))
    by_hand = json.loads(notes.batchord("run", "rare", "--wait", "--json").stdout)
    assert (by_hand["state"], by_hand["trigger"]) == ("succeeded", "cli")
    _wait_for_sweeps(notes, 3)
    assert len(_slots(notes)) == before

    notes.batchord("resume", "rare")
    _wait_for_runs(notes, 2)

    notes.batchord("schedule", "rare", "--reset")
    wait_until(
        lambda: "has a new schedule: every 1000 days" in notes.log("beat"),
        description="beat sees the reset",
        timeout=_SOON,
    )
    assert _schedule(notes) == ("every 1000 days", False, False)
    _wait_for_sweeps(notes, 1)
    before = len(_slots(notes))
    _wait_for_sweeps(notes, 3)
    assert len(_slots(notes)) == before
    # A tick is skipped if it comes while a slow machine still works on the run before.
    assert set(notes.sql("SELECT state FROM batchord.runs")) <= {("succeeded",), ("skipped",)}


def _schedule(cluster: Cluster) -> tuple[str, bool, bool]:
    told = json.loads(cluster.batchord("schedule", "rare", "--json").stdout)
    assert told["file"] == "every 1000 days"
    assert bool(told["next"])
    return told["schedule"], told["switched"], told["paused"]


def _slots(cluster: Cluster) -> list[tuple[object, ...]]:
    return cluster.sql("SELECT slot FROM batchord.runs WHERE slot IS NOT NULL")


def _wait_for_runs(cluster: Cluster, count: int) -> None:
    before = len(_slots(cluster))
    wait_until(
        lambda: len(_slots(cluster)) >= before + count, description=f"{count} more slots have runs", timeout=_SOON
    )


def _wait_for_sweeps(cluster: Cluster, count: int) -> None:
    """Waits for new sweeps, one each second. All earlier messages have been processed by then."""
    before = _swept(cluster)
    wait_until(lambda: _swept(cluster) >= before + count, description="the sweeper comes by")


def _swept(cluster: Cluster) -> int:
    return sum("batchord.sweep[" in line and "succeeded" in line for line in cluster.log("control").splitlines())
