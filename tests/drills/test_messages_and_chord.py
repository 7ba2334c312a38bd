"""Drills of messages and the chord: processes die at the wrong moment, and messages get lost or doubled."""

import pytest

from tests.drills.drill import Drill

_NAMED_POINTS = [
    # Taken from Redis and not yet noted as unacknowledged: nobody gives the message back.
    ("control", "message-taken:batchord.finish_step=kill@1"),
    ("worker", "message-taken:batchord.predict_shard=kill@1"),
    # The planner: its run is open and nothing is planned; before its commit; after it, before the first publish; with
    # the chord half published. What is first to be told is that the step is ready, for which no message is needed: the
    # same process plans it. The second is the chord.
    ("control", "after-commit-before-publish=kill@1"),
    ("control", "before-plan-commit=kill@1"),
    ("control", "after-commit-before-publish=kill@2"),
    ("control", "before-publish:batchord.predict_shard=kill@2"),
    ("control", "before-chord-size=kill@1"),
    ("control", "after-chord-size=kill@1"),
    # In mid-inference: a pool child, and the whole worker.
    ("worker", "after-predict=kill@3"),
    ("worker", "after-predict=kill-parent@3"),
    ("worker", "before-batch-commit=raise@3"),
    ("worker", "after-batch-commit=kill@3"),
    # After the shard's last commit, before the task returns.
    ("worker", "after-shard-finish=kill@1"),
    ("worker", "after-shard-finish=kill-parent@1"),
    # SUCCESS is stored and the chord part is not counted.
    ("worker", "before-chord-part=kill@1"),
    ("worker", "before-chord-part=kill@2"),
    ("worker", "before-chord-part=kill-parent@2"),
    # The chord is claimed and its body is not published.
    ("worker", "before-publish:batchord.finish_step=kill@1"),
    ("worker", "before-publish:batchord.finish_step=kill-parent@1"),
]


#: Points of a run whose only shard is sent without a chord: its process ends the step.
_LONE_POINTS = [
    ("control", "before-publish:batchord.predict_shard=kill@1"),
    ("worker", "message-taken:batchord.predict_shard=kill@1"),
    ("worker", "after-shard-finish=kill@1"),
    ("worker", "after-shard-finish=kill-parent@1"),
    # The shard is done and its step is not.
    ("worker", "after-commit-before-publish=kill@1"),
    ("worker", "after-commit-before-publish=kill-parent@1"),
]


@pytest.mark.parametrize(("process", "fault"), _NAMED_POINTS)
def test_a_process_that_dies_at_the_wrong_moment_costs_only_time(drill: Drill, process: str, fault: str) -> None:
    """The run ends once, as succeeded, with nothing lost and nothing twice."""
    drill.cluster.start("control", "worker", "beat", faults={process: fault})
    drill.run()
    drill.wait_until_fired(fault.partition("=")[0])
    drill.settle()
    drill.check()


@pytest.mark.parametrize(("process", "fault"), _LONE_POINTS)
def test_a_process_with_the_only_shard_that_dies_costs_only_time(drill: Drill, process: str, fault: str) -> None:
    """No chord counts the shard: whoever gets its message again, or the sweeper, ends the step."""
    drill.declare(shard_rows=400)
    drill.cluster.start("control", "worker", "beat", faults={process: fault})
    drill.run()
    drill.wait_until_fired(fault.partition("=")[0])
    drill.settle()
    assert drill.cluster.sql("SELECT count(*) FROM batchord.shards") == [(1,)]
    drill.check()


def test_the_next_tick_makes_up_for_a_lost_one(drill: Drill) -> None:
    """A tick's message is nowhere but in Redis; lost with its worker, it leaves no run, and its records wait."""
    drill.declare(schedule="every(seconds=3)")
    lost = "message-taken:batchord.start_run"
    drill.cluster.start("control", "worker", "beat", faults={"control": f"{lost}=kill@1"})
    drill.wait_until_fired(lost)
    assert drill.cluster.sql("SELECT FROM batchord.runs") == []
    drill.settle()
    drill.check(runs=None)
    assert drill.cluster.sql("SELECT predicted FROM batchord.runs WHERE discovered > 0") == [(400,)]
