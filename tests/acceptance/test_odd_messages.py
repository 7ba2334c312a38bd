"""A message that cannot be read is logged and dropped, and the worker goes on."""

import json
import re
from typing import Any

import pytest
import redis

from tests.acceptance.cluster import Cluster
from tests.acceptance.odd_messages import encoded, message, odd_messages
from tests.waiting import wait_until

_RUN = {"run_id": "01970000-0000-7000-8000-000000000001", "step": "predict"}
_TASKS: dict[str, dict[str, dict[str, Any]]] = {
    "control": {"batchord.start_run": {"pipeline": "notes"}, "batchord.finish_step": _RUN, "batchord.sweep": {}},
    "text": {"batchord.predict_shard": {**_RUN, "index": 0}, "batchord.run_step": _RUN},
}


def _broker(cluster: Cluster) -> "redis.Redis":
    return redis.Redis.from_url(cluster.environment["BATCHORD_REDIS_URL"])


def _spoilt(part: str, name: str, value: Any) -> bytes:
    made = message("batchord.start_run", {"pipeline": "notes"}, queue="control")
    if part:
        made[part][name] = value
    else:
        made[name] = value
    return encoded(made)


def _waits(held: bytes) -> bool:
    """Whether a message in a worker's hand waits for a time: it does not hold a place then."""
    return json.loads(held)[0]["headers"].get("eta") is not None


def test_what_is_known_to_end_workers_is_named_and_dropped(notes: Cluster) -> None:
    """The log line names the problem. Neither kind of worker ends, and the message does not return."""
    notes.insert_notes(3)
    notes.start("control", "worker")
    wrong = {
        "its timelimit is 'abc'": _spoilt("headers", "timelimit", "abc"),
        "its timelimit is ['5', None]": _spoilt("headers", "timelimit", ["5", None]),
        "its task is ['batchord.start_run']": _spoilt("headers", "task", ["batchord.start_run"]),
        "its id is {}": _spoilt("headers", "id", {}),
        "its retries is 'x'": _spoilt("headers", "retries", "x"),
        "its named arguments are 'no mapping'": _spoilt("", "body", [[], "no mapping", {}]),
        "its arguments are 5": _spoilt("", "body", [5, {}, {}]),
        "its body is [1]": _spoilt("", "body", [1]),
        "its chord must hold only tasks: 'x'": _spoilt("", "body", [[], {}, {"chord": "x"}]),
        "it does not name a task": _spoilt("", "headers", {}),
        "its id is '\\ud800'": _spoilt("headers", "id", "\ud800"),
        "ContentDisallowed": _spoilt("", "content-type", "application/x-python-serialize"),
        "Dropped a malformed message": b"{",
    }
    with _broker(notes) as broker:
        for queue in ("control", "text"):
            broker.lpush(queue, *wrong.values())
        for channel in broker.pubsub_channels("*pidbox*"):
            for noise in (
                b"{",
                b"5",
                b"{}",
                b'{"__type__": "bytes", "__value__": 5}',
                _spoilt("", "body", "no command"),
            ):
                broker.publish(channel, noise)
        for worker in ("control", "worker"):
            for line in wrong:
                wait_until(lambda w=worker, n=line: n in notes.log(w), description=f"{worker} says: {line}")  # type: ignore[misc]
        notes.call("batchord.start_run", pipeline="notes")
        notes.wait_for_records("notes", "notes")
        wait_until(lambda: not broker.hlen("unacked"), description="no message is left")
    assert [notes.restarts(worker) for worker in ("control", "worker")] == [0, 0]
    assert "Unrecoverable" not in notes.log("control") + notes.log("worker")
    notes.assert_exactly_once("notes", "notes")


@pytest.mark.parametrize("seed", [1])
def test_no_message_ends_a_worker(notes: Cluster, seed: int) -> None:
    """Messages are changed at random. Those that can still be read become tasks and fail as tasks."""
    notes.insert_notes(3)
    notes.start("control", "worker")
    with _broker(notes) as broker:
        for queue, tasks in _TASKS.items():
            broker.lpush(queue, *odd_messages(seed, 400, queue=queue, tasks=tasks))
        wait_until(lambda: not any(map(broker.llen, _TASKS)), description="all are taken", timeout=120)
        notes.call("batchord.start_run", pipeline="notes")
        notes.wait_for_records("notes", "notes", timeout=60)
        wait_until(lambda: all(map(_waits, broker.hvals("unacked"))), description="nothing holds a worker's place")
    log = notes.log("control") + notes.log("worker")
    assert [notes.restarts(worker) for worker in ("control", "worker")] == [0, 0]
    assert "Unrecoverable" not in log
    assert "Connection to broker lost" not in log
    assert len(re.findall("Dropped", log)) > 100
    notes.assert_exactly_once("notes", "notes")
