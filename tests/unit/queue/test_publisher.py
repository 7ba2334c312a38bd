"""What is sent to Redis for each message, and what happens to a message that does not arrive."""

import base64
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from batchord.core.calendar.schedules import AfterPipeline
from batchord.core.run.messages import (
    LONGEST_DELAY,
    VERSION,
    AlertsKept,
    BacklogLeft,
    FollowUp,
    Message,
    RunEnded,
    RunReady,
    ShardsReady,
    StepEnded,
    StepReady,
)
from batchord.core.run.runs import RunState
from batchord.queue import publisher
from batchord.queue.publisher import publish

_CATALOG: Any = SimpleNamespace(names=list, get=None)
_SINGLE: list[tuple[Message, str, str, dict[str, Any]]] = [
    (StepReady(run_id="r", step="s"), "control", "plan_step", {"run_id": "r", "step": "s"}),
    (StepReady(run_id="r", step="s", sharded=False), "steps", "run_step", {"run_id": "r", "step": "s"}),
    (
        StepReady(run_id="r", step="s", sharded=False, queue="warehouse"),
        "warehouse",
        "run_step",
        {"run_id": "r", "step": "s"},
    ),
    (StepEnded(run_id="r", step="s"), "control", "finish_step", {"run_id": "r", "step": "s"}),
    (RunReady(run_id="r"), "control", "advance_run", {"run_id": "r"}),
    (
        BacklogLeft(pipeline="p", after_run="r"),
        "control",
        "start_run",
        {"pipeline": "p", "trigger": "backlog", "after_run": "r"},
    ),
    (FollowUp(pipeline="p", after_run="r"), "control", "follow_run", {"pipeline": "p", "after_run": "r"}),
    (AlertsKept(), "control", "send_alerts", {}),
    # No chord counts a single shard.
    (
        ShardsReady(run_id="r", step="s", queue="text", indexes=(7,)),
        "text",
        "predict_shard",
        {"run_id": "r", "step": "s", "index": 7, "alone": True},
    ),
]


@pytest.fixture
def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Where an app of this test alone sends what is published."""
    with (
        Celery("test", broker=redis_url, backend=redis_url, set_as_current=False) as app,
        Redis.from_url(redis_url) as client,
    ):
        app.conf.task_default_queue = "control"
        monkeypatch.setattr(publisher, "current_app", app)
        yield client


def _taken(redis: Redis, queue: str) -> tuple[dict[str, Any], list[Any], dict[str, Any], dict[str, Any]]:
    """Headers, positional and keyword arguments and Celery's own fields of a queue's oldest message."""
    raw: Any = redis.rpop(queue)
    assert raw is not None, f"nothing is in the queue {queue}"
    message = json.loads(raw)
    args, kwargs, embedded = json.loads(base64.b64decode(message["body"]))
    return message["headers"], args, kwargs, embedded


@pytest.mark.parametrize(("message", "queue", "task", "kwargs"), _SINGLE)
def test_each_message_is_a_task_on_its_queue(
    redis: Redis, message: Message, queue: str, task: str, kwargs: dict[str, Any]
) -> None:
    """The task names its message version, and its result is ignored."""
    assert publish([message], catalog=_CATALOG) == []

    headers, args, sent, _ = _taken(redis, queue)
    assert (headers["task"], args, sent) == (f"batchord.{task}", [], {**kwargs, "version": VERSION})
    assert headers["ignore_result"] is True
    assert redis.llen(queue) == 0


def test_shards_are_a_chord_whose_body_finishes_the_step(redis: Redis) -> None:
    """Each part is a message on the model's queue. The body ignores their results."""
    assert publish([ShardsReady(run_id="r", step="s", queue="text", indexes=(0, 1, 2))], catalog=_CATALOG) == []

    assert redis.llen("text") == 3
    for index in range(3):
        headers, args, kwargs, embedded = _taken(redis, "text")
        assert (headers["task"], args) == ("batchord.predict_shard", [])
        assert kwargs == {"run_id": "r", "step": "s", "index": index, "version": VERSION}
        body = embedded["chord"]
        assert (body["task"], body["args"], body["immutable"]) == ("batchord.finish_step", [], True)
        assert body["kwargs"] == {"run_id": "r", "step": "s", "version": VERSION}
        assert body["options"]["queue"] == "control"


def test_a_time_limit_travels_with_its_step(redis: Redis) -> None:
    """Its process is ended after it."""
    publish([StepReady(run_id="r", step="s", sharded=False, time_limit=60.0)], catalog=_CATALOG)

    assert _taken(redis, "steps")[0]["timelimit"] == [60.0, None]


def test_a_short_wait_travels_and_a_long_one_is_left_to_the_sweeper(redis: Redis) -> None:
    """A message that waits longer than the visibility timeout would come back to Redis."""
    assert publish([StepReady(run_id="r", step="s", delay=5)], catalog=_CATALOG) == []
    assert _taken(redis, "control")[0]["eta"] is not None

    assert publish([StepReady(run_id="r", step="s", delay=LONGEST_DELAY + 1)], catalog=_CATALOG) == []
    assert redis.llen("control") == 0


def test_the_end_of_a_run_starts_the_pipelines_that_follow(redis: Redis) -> None:
    """Those alone that follow this pipeline, and this end of it."""
    after = {
        "second": AfterPipeline("first", states=("succeeded",)),
        "repair": AfterPipeline("first", states=("failed",)),
        "first": None,
    }
    catalog: Any = SimpleNamespace(names=lambda: list(after), get=lambda name: SimpleNamespace(after=after[name]))

    publish([RunEnded(run_id="r", pipeline="first", state=RunState.SUCCEEDED)], catalog=catalog)

    headers, _, kwargs, _ = _taken(redis, "control")
    assert (headers["task"], kwargs["pipeline"], kwargs["after_run"]) == ("batchord.follow_run", "second", "r")
    assert redis.llen("control") == 0


def test_what_redis_does_not_take_is_returned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The sweeper sends it again. The log names it."""
    with Celery("test", broker="redis://127.0.0.1:1/0", backend="redis://127.0.0.1:1/0", set_as_current=False) as app:
        app.conf.update(task_publish_retry=False, broker_transport_options={"max_retries": 1, "interval_start": 0})
        monkeypatch.setattr(publisher, "current_app", app)
        sent = [RunReady(run_id="r"), StepEnded(run_id="r", step="s")]

        assert publish(sent, catalog=_CATALOG) == sent

    assert "The sweeper will send RunReady(run_id='r') again" in caplog.text
