"""Drills of leases: who stands still loses the shard, and whoever comes back late writes nothing."""

import re
import signal
from typing import Any

import psutil
import pytest

from tests.drills.drill import Drill
from tests.drills.stepped_clock import step_back
from tests.waiting import wait_until

#: Outputs so long that most of a batch has left the process, and is in the table, before its COPY ends.
_LONG = 'return frame["body"].map(lambda body: {"length": len(body), "padding": "." * 20_000})'


@pytest.mark.parametrize("place", ["before-batch-commit", "in-batch-copy"])
def test_a_worker_that_was_stopped_past_its_lease_writes_nothing(drill: Drill, place: str) -> None:
    """Another takes its shard over; continued after that, it is fenced by its old token, or its session has gone.

    In the middle of a COPY it holds the new rows' keys, and the other could not write them.
    """
    cluster = drill.cluster
    drill.declare(_LONG)
    cluster.start("control", "worker", "beat", faults={"worker": f"{place}=stop@4"})
    drill.run()
    drill.wait_until_fired(place)
    stopped = wait_until(lambda: _stopped(drill), description="a pool child is stopped")
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


def test_a_planner_that_was_stopped_past_its_lease_plans_nothing(drill: Drill) -> None:
    """Another plans the step; continued after that, the first neither writes a plan nor publishes one."""
    cluster = drill.cluster
    # Alone, so that the step is its; the second control worker is there when it stands still.
    cluster.start("control", "worker", faults={"control": "before-plan-commit=stop@1"})
    drill.run()
    drill.wait_until_fired("before-plan-commit")
    cluster.start("control2", "beat")
    drill.settle()
    assert cluster.sql("SELECT attempt FROM batchord.steps") == [(2,)]
    before = _plan(drill)
    assert "start_run" not in _through(drill, "control")
    cluster.kill("control", signal.SIGCONT)
    wait_until(lambda: "start_run" in _through(drill, "control"), description="the first planner is through")
    cluster.stop("beat")
    drill.wait_until_idle()
    assert _plan(drill) == before
    assert cluster.sql("SELECT count(*) FROM batchord.shards") == [(2,)]
    drill.check()


def test_a_clock_that_steps_back_an_hour_costs_seconds(drill: Drill) -> None:
    """A worker dies just then: its lease, the sweep and what is found to be lost all lie an hour ahead."""
    cluster = drill.cluster
    cluster.start("control", "worker", "beat", faults={"worker": "after-predict=kill-parent@3"})
    drill.run()
    drill.wait_until_fired("after-predict")
    step_back(drill)
    drill.settle(timeout=60)
    assert "clock stepped back" in cluster.log("control")
    assert "clock stepped back" in cluster.log("beat")
    # It was begun before the clock stepped and ended after that, and its first owner's lease was moved with it.
    assert (2, 1) in cluster.sql("SELECT attempt, losses FROM batchord.shards WHERE finished_at < started_at")
    # What arrives now is dated below what has been predicted already.
    cluster.sql(
        "INSERT INTO notes (body, created_at) SELECT 'late', now() - interval '1 hour' FROM generate_series(1, 20)"
    )
    drill.run()
    drill.settle(timeout=60)
    drill.check(runs=("succeeded", "succeeded"))


def _stopped(drill: Drill) -> list[psutil.Process]:
    return drill.cluster.stopped("worker")


def _plan(drill: Drill) -> list[Any]:
    """All that the ledger says of runs, but for whether an ended one is counted in the totals, at which beat looks."""
    return [
        drill.cluster.sql(f"SELECT to_jsonb(entry) - 'tallied' FROM batchord.{table} AS entry ORDER BY 1")  # noqa: S608 -- the tables stand here
        for table in ("runs", "steps", "shards", "frontiers")
    ]


def _through(drill: Drill, worker: str) -> list[str]:
    """Tasks that a worker is done with, or has handed back: PostgreSQL ends what stands still in a transaction."""
    return re.findall(r"batchord\.(\w+)\[[^]]*\] (?:succeeded|retry)", drill.cluster.log(worker))
