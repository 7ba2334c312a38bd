"""Which messages a task can be made of."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from workers.messages import problem

_SIGNATURE = {"task": "t", "args": [], "kwargs": {}, "options": {"task_id": "i"}, "subtask_type": None}


def _message(body: Any = None, headers: Any = None, properties: Any = None) -> Any:
    return SimpleNamespace(
        payload=[[], {}, None] if body is None else body,
        headers={"task": "t", "id": "i"} if headers is None else headers,
        properties={} if properties is None else properties,
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"timelimit": [None, None], "eta": None, "expires": None, "retries": 0, "group": None},
        {
            "timelimit": [5, 2.5],
            "eta": "2026-01-01T00:00:00+00:00",
            "retries": 7,
            "stamps": {},
            "stamped_headers": ["a"],
        },
        {"timelimit": [], "shadow": "s", "root_id": "r", "something": ["of", {"a": "later"}, "release"]},
    ],
)
def test_what_celery_sends_is_understood(headers: dict[str, Any]) -> None:
    """With and without each field, and with unknown fields."""
    assert problem(_message(headers={"task": "t", "id": "i", **headers})) is None


def test_what_follows_may_be_described() -> None:
    """A chord's body, and tasks that are called with the outcome."""
    embedded = {"chord": _SIGNATURE, "callbacks": [_SIGNATURE], "errbacks": None, "chain": []}

    assert problem(_message([["a", 1], {"k": None}, embedded])) is None


def test_protocol_1_is_understood() -> None:
    """As clients in other languages speak it: everything stands in the body."""
    assert problem(_message({"task": "t", "id": "i", "args": [], "kwargs": {"a": 1}, "retries": 0}, headers={})) is None
    assert "timelimit" in str(problem(_message({"task": "t", "id": "i", "timelimit": "abc"}, headers={})))
    assert "named arguments" in str(problem(_message({"task": "t", "id": "i", "kwargs": 5}, headers={})))


def test_what_celery_sends_for_a_chord_is_understood(redis_url: str) -> None:
    """With its ids, its group, and the body that is to follow."""
    with Celery(broker=redis_url, set_as_current=False) as app:
        body = app.signature("body", task_id="b")
        part = app.signature("part", kwargs={"index": 1}, queue="text", chord=body, group_id="g")
        app.send_task("part", kwargs={"index": 1}, ignore_result=True, **part.options)
        with app.connection() as connection:
            queue = connection.SimpleQueue("text")
            sent = queue.get(timeout=5)
            queue.close()

    assert sent.payload[2]["chord"]["task"] == "body"
    assert problem(sent) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"headers": "none"}, "headers"),
        ({"headers": {"id": "i"}}, "does not name a task"),
        ({"properties": []}, "properties"),
        ({"properties": {"reply_to": {}}}, "reply_to"),
        ({"body": "abc"}, "arguments"),
        ({"body": 5}, "body"),
        ({"body": [[], {}]}, "body"),
        ({"body": [{}, {}, {}]}, "arguments"),
        ({"body": [[], [], {}]}, "named arguments"),
        ({"body": [[], {}, 5]}, "follow-up tasks"),
        ({"body": [[], {}, {"chord": 5}]}, "chord"),
        ({"body": [[], {}, {"chain": [{**_SIGNATURE, "options": None}]}]}, "chain"),
        ({"body": [[], {}, {"callbacks": _SIGNATURE}]}, "callbacks"),
        ({"body": [[], {}, {"errbacks": [{"task": "t"}]}]}, "errbacks"),
        ({"body": [[], {"deep": [{"in": "\ud800"}]}, {}]}, "half of a surrogate pair"),
        *(
            ({"headers": {"task": "t", "id": "i", name: value}}, name)
            for name, values in {
                "task": (None, "", 5, ["t"], "\ud800"),
                "id": (None, "", 5, [], {}),
                "timelimit": (
                    "abc",
                    5,
                    [1],
                    ["5", None],
                    [-1, None],
                    [True, None],
                    [float("nan"), 1],
                    [1e400, 1],
                    [10**9, 1],
                ),
                "retries": ("x", -1, True, 1.5, 10**10, []),
                "eta": (0, "", [], {}, True),
                "expires": (0, "", 1.5),
                "group": (5, []),
                "root_id": ({},),
                "stamps": ([], "x"),
                "stamped_headers": ("x", [5], {}),
            }.items()
            for value in values
        ),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], said: str) -> None:
    """The problem takes one line, for values of any length."""
    found = problem(_message(**wrong))

    assert found is not None
    assert said in found
    assert len(found) < 300
