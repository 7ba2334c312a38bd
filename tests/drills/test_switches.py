"""Drills of schedules: one that fires once, and one that is paused, while beat and workers come and go."""

import math
import time
from datetime import UTC, datetime, timedelta

from tests.drills.drill import Drill
from tests.waiting import wait_until

_RUNS = "SELECT slot FROM batchord.runs WHERE pipeline = 'notes' ORDER BY slot"
#: Seconds within which beat must see a switch.
_SOON = 5


def test_a_moment_that_passes_while_all_are_dead_has_its_run(drill: Drill) -> None:
    """Once they are back, and once only, also when they are started again after that."""
    cluster = drill.cluster
    # On a busy machine three processes take longer to start: as much as one does, and several times that.
    began = time.monotonic()
    cluster.start("control")
    cluster.stop("control")
    moment = _declare_once(drill, timedelta(seconds=max(8, math.ceil(6 * (time.monotonic() - began)))))
    cluster.start("control", "worker", "beat")
    # Beat has noted by then when the pipeline is due.
    wait_until(lambda: "Sending due task" in cluster.log("beat"), description="beat works")
    assert datetime.now(UTC) < moment
    for name in ("beat", "control", "worker"):
        cluster.kill(name)
        cluster.stop(name)
    drill.injected()
    wait_until(lambda: datetime.now(UTC) > moment, description="the moment has passed", timeout=200)
    cluster.start("control", "worker", "beat")
    drill.settle(timeout=60)
    for name in ("beat", "control"):
        cluster.stop(name)
    cluster.start("control", "beat")
    _wait_until_swept(drill)
    assert cluster.sql(_RUNS) == [(moment,)]
    drill.check()


def test_a_moment_whose_tick_is_lost_has_its_run(drill: Drill) -> None:
    """Its message was lost with its worker. The search for missed ticks finds that its run is missing."""
    cluster = drill.cluster
    lost = "message-taken:batchord.start_run"
    moment = _declare_once(drill, timedelta(seconds=-22))
    cluster.start("control", "worker", "beat", faults={"control": f"{lost}=kill"}, BATCHORD_WATCH_SECONDS="1")
    # As beat's, which sends none for a moment that was over when it first saw the pipeline.
    cluster.send("batchord.start_run", pipeline="notes", trigger="schedule")
    drill.wait_until_fired(lost)
    wait_until(lambda: cluster.sql("SELECT name FROM batchord.pipelines"), description="the pipeline is known")
    assert cluster.sql(_RUNS) == []
    # As if it had been known before its moment.
    cluster.sql("UPDATE batchord.pipelines SET first_seen_at = first_seen_at - interval '1 hour'")
    drill.settle(timeout=60)
    _wait_until_swept(drill)
    assert cluster.sql(_RUNS) == [(moment,)]
    drill.check()


def test_a_paused_pipeline_stays_paused_when_beat_dies(drill: Drill) -> None:
    """Beat sees within seconds that it is paused, and that it is resumed; the pause is in the ledger."""
    cluster = drill.cluster
    drill.declare(schedule="every(seconds=1)")
    cluster.start("control", "worker", "beat")
    drill.settle()
    cluster.batchord("pause", "notes")
    began = time.monotonic()
    wait_until(lambda: cluster.log("beat").count(", paused") == 1, description="beat sees that it is paused")
    assert time.monotonic() - began < _SOON
    _wait_until_swept(drill)
    before = cluster.sql(_RUNS)
    cluster.insert_notes(10)
    cluster.kill("beat")
    drill.injected()
    wait_until(lambda: cluster.log("beat").count("Acquired lock") == 2, description="beat is back")
    _wait_until_swept(drill)
    assert cluster.sql(_RUNS) == before
    cluster.batchord("resume", "notes")
    drill.settle(timeout=_SOON)
    drill.check(runs=None)
    assert len(cluster.sql(_RUNS)) > len(before)


def _declare_once(drill: Drill, away: timedelta) -> datetime:
    moment = datetime.now(UTC).replace(microsecond=0) + away
    arguments = ", ".join(str(part) for part in moment.timetuple()[:6])
    drill.declare(schedule=f"once(datetime({arguments}, tzinfo=UTC))")
    return moment


def _wait_until_swept(drill: Drill) -> None:
    """Waits until two more sweeps have ended. All earlier messages have been processed by then."""
    swept = "batchord.sweep["
    before = _ended(drill, swept)
    wait_until(lambda: _ended(drill, swept) >= before + 2, description="the sweeper came by twice", timeout=40)


def _ended(drill: Drill, task: str) -> int:
    return sum(task in line and "succeeded" in line for line in drill.cluster.log("control").splitlines())
