"""Drills of beat: it is lost, there are two at once, and Redis ends it."""

import re
import sys
import time
from pathlib import Path

import redis

from app.localstack import ProcessSpec, Server, Supervisor, start_servers
from tests.drills.drill import Drill
from tests.drills.own_servers import kill, process_of
from tests.waiting import wait_until

#: Seconds: the lock of a lost beat, the interval at which a standby tries it, and a busy machine's delay.
_LOCK, _LOOP, _SLACK = 10, 1, 3
_LOCK_KEY = "batchord:beat::lock"
#: In slots of two seconds.
_LONGEST_GAP = """
    SELECT max(extract(epoch FROM slot - before) / 2)::int
    FROM (SELECT slot, lag(slot) OVER (ORDER BY slot) AS before FROM batchord.runs) AS run
"""
_RUNS = "SELECT count(*) FROM batchord.runs"
_TICK = "Sending due task pipeline:notes"


def test_a_standby_takes_over_from_a_lost_beat(drill: Drill) -> None:
    """Slots before the takeover have no run. Their records are in the next run."""
    cluster = drill.cluster
    drill.declare(schedule="every(seconds=2)")
    cluster.start("control", "worker", "beat")
    drill.settle()
    cluster.start("beat2")
    assert not _has_lock(drill, "beat2")
    cluster.kill("beat")
    cluster.stop("beat")
    lost = time.monotonic()
    drill.injected()
    cluster.insert_notes(50)
    wait_until(lambda: _has_lock(drill, "beat2"), description="the standby takes over")
    assert time.monotonic() - lost < _LOCK + _LOOP + _SLACK
    drill.settle(timeout=20)
    _end(drill, "beat2")
    assert cluster.sql("SELECT discovered FROM batchord.runs WHERE discovered > 0 ORDER BY slot") == [(400,), (50,)]
    assert cluster.sql(_LONGEST_GAP) > [(3,)], "slots passed without a beat"


def test_a_beat_that_loses_its_lock_ends(drill: Drill) -> None:
    """The lock's key is deleted again and again: the beats take turns, and no slot has two runs."""
    cluster = drill.cluster
    drill.declare(schedule="every(seconds=1)")
    cluster.start("control", "worker", "beat", "beat2")
    for turn in range(1, 4):
        _delete_lock(drill)
        cluster.insert_notes(10)
        wait_until(
            lambda turn=turn: sum(_ends(drill, name) for name in ("beat", "beat2")) == turn,  # type: ignore[misc]
            description="the one that lost the lock ends",
        )
    drill.settle(timeout=20)
    assert _TICK in cluster.log("beat")
    assert _TICK in cluster.log("beat2")
    _end(drill, "beat", "beat2")


def test_two_beats_at_once_give_each_slot_one_run(drill: Drill) -> None:
    """Both send a tick for each slot, as when two installations share a broker by mistake."""
    cluster = drill.cluster
    drill.declare(schedule="every(seconds=1)")
    cluster.start("control", "worker", "beat")
    command = (sys.executable, "-m", "celery", "-A", "tests.drills.second_beat", "beat", "--pidfile=", "-l", "info")
    second = ProcessSpec(name="second", command=command, env=cluster.environment, patience=0.1)
    with Supervisor([second], cluster.home / "second"):
        wait_until(lambda: cluster.log("second").count(_TICK) >= 2, description="the second beat sends ticks")
        drill.injected()
        first = cluster.log("beat").count(_TICK)
        cluster.insert_notes(50)
        wait_until(
            lambda: cluster.log("second").count(_TICK) >= 6 and cluster.log("beat").count(_TICK) >= first + 4,
            description="both beats have sent four ticks more",
        )
    drill.settle()
    _end(drill, "beat")
    ticks = len(re.findall(r"Task batchord\.start_run\[\S+\] received", cluster.log("control")))
    ((runs,),) = cluster.sql(_RUNS)
    assert ticks >= runs + 4


def test_a_restart_of_redis_ends_beat_and_ticks_go_on(own_drill: Drill, own_home: Path) -> None:
    """Whoever runs beat starts it again; records that arrived meanwhile are predicted, and slots go on."""
    cluster = own_drill.cluster
    own_drill.declare(schedule="every(seconds=1)")
    # What was in a worker's hand when the connection was lost comes back after that time.
    cluster.start("control", "worker", "beat", BATCHORD_VISIBILITY_TIMEOUT_SECONDS="5")
    own_drill.settle()
    kill(process_of(own_home, Server.REDIS))
    own_drill.injected()
    wait_until(lambda: _ends(own_drill, "beat"), description="beat ends")
    cluster.insert_notes(50)
    ((before,),) = cluster.sql("SELECT max(slot) FROM batchord.runs")
    start_servers(own_home)
    own_drill.settle(timeout=40)
    # A run that was open when Redis went may have taken them; beat's own come in any case.
    wait_until(
        lambda: cluster.sql("SELECT count(*) > 0 FROM batchord.runs WHERE slot > %s", before) == [(True,)],
        description="beat's ticks go on",
    )
    assert cluster.log("beat").count("beat: Acquired lock") >= 2
    _end(own_drill, "beat")


def _has_lock(drill: Drill, name: str) -> bool:
    return "beat: Acquired lock" in drill.cluster.log(name)


def _ends(drill: Drill, name: str) -> int:
    return drill.cluster.log(name).count("beat raised exception")


def _delete_lock(drill: Drill) -> None:
    """Once the beat that holds it has sent a tick; returns when a beat holds it again."""
    before = drill.cluster.sql(_RUNS)
    wait_until(lambda: drill.cluster.sql(_RUNS) > before, description="a tick becomes a run")
    with redis.Redis.from_url(drill.cluster.environment["BATCHORD_REDIS_URL"]) as broker:
        lost = broker.getdel(_LOCK_KEY)
        assert lost is not None
        drill.injected()
        wait_until(lambda: broker.get(_LOCK_KEY) not in (None, lost), description="the other beat takes the lock")


def _end(drill: Drill, *beats: str) -> None:
    """Asserts the promise when the last tick is worked off."""
    for name in beats:
        drill.cluster.stop(name)
    drill.wait_until_idle()
    drill.check(runs=None)
