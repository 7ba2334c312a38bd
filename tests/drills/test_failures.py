"""Drills of work that fails: its tasks say so, and a death around that costs only time."""

import re

import pytest

from tests.drills.drill import Drill
from tests.waiting import wait_until

_BROKEN = 'raise RuntimeError("the model is broken")'
_FAILED = r"batchord\.{}\[.*\] raised expected: WorkFailed"
_FUNCTION = """
    from pathlib import Path
    from batchord import Pipeline, Python

    def broken(run):
        with (Path({folder!r}) / "calls").open("a") as file:
            file.write("called\\n")
        raise ValueError("the function is broken")

    notes = Pipeline("notes", steps=[Python("only", broken)])
"""
#: Where a worker dies over a shard that has failed.
_SHARD_POINTS = [
    # The part is not counted; it is, and the task has not ended. The second is the chord's last.
    *("before-chord-part=kill@1", "before-chord-part=kill@2", "before-chord-part=kill-parent@1"),
    *("after-chord-part=kill@1", "after-chord-part=kill@2", "after-chord-part=kill-parent@2"),
    *("before-failure=kill@1", "before-failure=kill@2", "before-failure=kill-parent@1", "before-failure=raise@1"),
    # The chord is claimed and its body is not published; then it is.
    "after-publish:batchord.finish_step=kill@1",
]


@pytest.mark.parametrize("fault", _SHARD_POINTS)
def test_a_worker_that_dies_over_a_failed_shard_costs_only_time(drill: Drill, fault: str) -> None:
    """The chord's body comes, the run ends once as failed, and each shard's task says that it has failed."""
    drill.declare(_BROKEN)
    # A dying parent takes the other process along, which may have claimed the chord: that is a sweeper's matter. Else
    # there is none, so it is the chord that ends the step.
    sweeper = ["beat"] if "kill-parent" in fault else []
    drill.cluster.start(
        "control", "worker", *sweeper, faults={"worker": fault}, BATCHORD_VISIBILITY_TIMEOUT_SECONDS="3"
    )
    drill.run()
    drill.wait_until_fired(fault.partition("=")[0])
    drill.wait_until_runs(1)
    assert drill.cluster.sql("SELECT state FROM batchord.runs") == [("failed",)]
    assert drill.cluster.sql("SELECT state FROM batchord.shards") == [("failed",)] * 2
    wait_until(lambda: len(_shards_failed(drill)) == 2, description="both shards' tasks have failed")
    wait_until(
        lambda: re.search(_FAILED.format("finish_step"), drill.cluster.log("control")),
        description="the step's task has failed",
    )


@pytest.mark.parametrize("fault", ["before-failure=kill@1", "before-failure=raise@1"])
def test_a_worker_that_dies_over_a_failed_step_costs_only_time(drill: Drill, fault: str) -> None:
    """Later messages were sent before it died: the run has ended, and the repeated task fails as well."""
    drill.declare(_BROKEN)
    drill.cluster.start("control", "worker", faults={"control": fault}, BATCHORD_VISIBILITY_TIMEOUT_SECONDS="3")
    drill.run()
    drill.wait_until_fired("before-failure")
    assert drill.cluster.sql("SELECT state FROM batchord.runs") == [("failed",)]
    wait_until(
        lambda: re.search(_FAILED.format("finish_step"), drill.cluster.log("control")),
        description="the step's task has failed",
        timeout=60,
    )
    drill.wait_until_idle()
    assert drill.cluster.sql("SELECT state FROM batchord.steps") == [("failed",)]


def test_a_worker_that_dies_over_a_failed_function_does_not_call_it_again(drill: Drill) -> None:
    """Its parent tells the ledger of the death, which knows that the step is over."""
    drill.cluster.pipeline("notes", _FUNCTION.format(folder=str(drill.folder)))
    drill.cluster.start("control", "worker", faults={"worker": "before-failure=kill@1"})
    drill.run()
    drill.wait_until_fired("before-failure")
    drill.wait_until_runs(1)
    wait_until(
        lambda: re.search(_FAILED.format("run_step"), drill.cluster.log("worker")),
        description="the step's task has failed",
    )
    drill.wait_until_idle()
    assert drill.cluster.sql("SELECT state, attempt FROM batchord.steps") == [("failed", 1)]
    assert (drill.folder / "calls").read_text() == "called\n"


def _shards_failed(drill: Drill) -> set[str]:
    return set(re.findall(r"batchord\.predict_shard\[(\S+)\] raised expected: WorkFailed", drill.cluster.log("worker")))
