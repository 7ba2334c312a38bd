"""Drills of Redis: it dies, forgets, or falls silent in the middle of a run."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from app.localstack import Server, start_servers
from tests.drills.drill import Drill
from tests.drills.gate import Gate
from tests.drills.own_servers import kill, process_of
from tests.waiting import wait_until

#: How long Redis is silent; the full form takes as long as sockets wait for an answer.
_SILENT_SECONDS = 30.0 if "BATCHORD_DRILLS_FULL" in os.environ else 4.0

#: Long enough for a busy machine: a second attempt then means that a shard was interrupted.
_LEASE = {"BATCHORD_LEASE_SECONDS": "20"}


@pytest.mark.parametrize("keeps", [True, False], ids=["with its file", "without"])
def test_redis_is_killed_in_mid_chord(own_drill: Drill, own_home: Path, *, keeps: bool) -> None:
    """The chord survives in the append-only file, or all is gone; beat ends, and is started again.

    The message that was in a worker's hand comes back late, finds its shard done, and changes nothing.
    """
    cluster, gate = own_drill.cluster, Gate(own_drill)
    cluster.start("control", "worker", "beat", BATCHORD_VISIBILITY_TIMEOUT_SECONDS="5", **_LEASE)
    own_drill.run()
    gate.wait_until_reached()
    with _redis(own_drill) as broker:
        chord = wait_until(lambda: _half_counted(broker), description="one of the chord's two parts is counted")
        kill(process_of(own_home, Server.REDIS))
        own_drill.injected()
        wait_until(lambda: _beat_has_ended(own_drill), description="beat ends")
        if not keeps:
            shutil.rmtree(own_home / "redis")
        start_servers(own_home)
        assert broker.zcard(chord) == (1 if keeps else 0)
    gate.open()
    own_drill.settle(timeout=40)
    own_drill.wait_until_idle()
    own_drill.check()
    _assert_beat_was_started_again(own_drill)
    _assert_workers_bore_it(own_drill)


def test_redis_is_flushed_in_mid_run(own_drill: Drill) -> None:
    """Messages, the chord, and beat's lock and entries are gone at once."""
    cluster, gate = own_drill.cluster, Gate(own_drill)
    cluster.start("control", "worker", "beat", **_LEASE)
    own_drill.run()
    gate.wait_until_reached()
    with _redis(own_drill) as broker:
        chord = wait_until(lambda: _half_counted(broker), description="one of the chord's two parts is counted")
        assert broker.hlen("unacked") > 0
        broker.flushall()
        own_drill.injected()
        assert not broker.exists(chord)
    gate.open()
    own_drill.settle(timeout=40)
    own_drill.check()
    _assert_beat_was_started_again(own_drill)
    _assert_workers_bore_it(own_drill)


@pytest.mark.parametrize("dies", [False, True], ids=["then goes on", "then dies"])
def test_redis_is_silent_when_a_part_is_counted(own_drill: Drill, own_home: Path, *, dies: bool) -> None:
    """The chord's last part finds no answer, then late, or only that the connection is lost."""
    cluster = own_drill.cluster
    # The second point is never passed so often: it only counts.
    points = "before-chord-part=stop@2;after-chord-part=raise@1000"
    cluster.start("control", "worker", "beat", faults={"worker": points}, **_LEASE)
    own_drill.run()
    own_drill.wait_until_fired("before-chord-part")
    wait_until(lambda: own_drill.passes("after-chord-part") == 1, description="the other part is counted")
    (child,) = wait_until(lambda: _stopped(own_drill), description="a pool child is stopped before it counts its part")
    server = process_of(own_home, Server.REDIS)
    server.send_signal(signal.SIGSTOP)
    own_drill.injected()
    child.send_signal(signal.SIGCONT)
    silent_until = time.monotonic() + _SILENT_SECONDS
    wait_until(lambda: time.monotonic() > silent_until, description="time passes", timeout=2 * _SILENT_SECONDS)
    assert own_drill.passes("after-chord-part") == 1
    if dies:
        kill(server)
        start_servers(own_home)
    else:
        server.send_signal(signal.SIGCONT)
    own_drill.settle(timeout=40)
    own_drill.check()
    assert dies or own_drill.passes("after-chord-part") == 2
    _assert_workers_bore_it(own_drill)


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
def test_connections_to_redis_are_cut(own_drill: Drill, kind: str) -> None:
    """Redis itself goes on, as behind a proxy that was restarted: workers connect again, and take the next messages."""
    cluster, gate = own_drill.cluster, Gate(own_drill)
    cluster.start("control", "worker", "beat", **_LEASE)
    own_drill.run()
    gate.wait_until_reached()
    with _redis(own_drill) as broker:
        assert broker.client_kill_filter(_type=kind, skipme=True) >= 2
        own_drill.injected()
    gate.open()
    own_drill.settle(timeout=40)
    cluster.insert_notes(20)
    own_drill.run()
    own_drill.settle(timeout=40)
    own_drill.check(runs=("succeeded", "succeeded"))
    _assert_workers_bore_it(own_drill)


def test_redis_is_away_when_the_planner_publishes(own_drill: Drill, own_home: Path) -> None:
    """The shards are committed, but all attempts to send their chord fail. Later the sweeper sends it."""
    cluster = own_drill.cluster
    cluster.start("control", "worker", "beat", faults={"control": "before-plan-commit=delay@1"}, **_LEASE)
    own_drill.run()
    own_drill.wait_until_fired("before-plan-commit")
    kill(process_of(own_home, Server.REDIS))
    own_drill.injected()
    wait_until(lambda: "The sweeper will send " in cluster.log("control"), description="the planner gives up")
    start_servers(own_home)
    own_drill.settle(timeout=60)
    own_drill.check()
    _assert_beat_was_started_again(own_drill)
    _assert_workers_bore_it(own_drill)


@contextmanager
def _redis(drill: Drill) -> "Iterator[redis.Redis]":
    with redis.Redis.from_url(drill.cluster.environment["BATCHORD_REDIS_URL"]) as broker:
        yield broker


def _half_counted(broker: "redis.Redis") -> bytes | None:
    """The key under which a chord keeps its parts' results, when it holds one."""
    return next((key for key in broker.scan_iter("celery-taskset-meta-*.j") if broker.zcard(key) == 1), None)


def _beat_has_ended(drill: Drill) -> bool:
    return "beat raised exception" in drill.cluster.log("beat")


def _assert_beat_was_started_again(drill: Drill) -> None:
    wait_until(
        lambda: drill.cluster.log("beat").count("beat: Acquired lock") >= 2, description="beat was started again"
    )


def _assert_workers_bore_it(drill: Drill) -> None:
    assert [drill.cluster.log(name).count(" ready.") for name in ("control", "worker")] == [1, 1]
    assert drill.cluster.sql("SELECT DISTINCT attempt, losses FROM batchord.shards") == [(1, 0)]


def _stopped(drill: Drill) -> list[psutil.Process]:
    return [process for process in drill.cluster.pool("worker") if process.status() == psutil.STATUS_STOPPED]
