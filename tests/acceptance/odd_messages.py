"""Malformed messages, made from a seed, so that each run makes the same ones."""

import base64
import copy
import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

#: Values that are put in the place of right ones. Python's own JSON also writes NaN and halves of characters.
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**400, 1e308, float("nan"), float("inf")),
    *("", "abc", "5", "\ud800", "\x00", "x" * 100_000, "batchord.no_such_task", "application/x-python-serialize"),
    *("0001-01-01T00:00:00", "9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59-23:59", "2020-13-45", "gzip", "zlib"),
    *([], {}, [[]], [1, 2, 3], ["abc", None], [None, "5"], [-1, -1], {"a": 1}, [{}], {"": {}}, [None], {"task": 5}),
    *([1e308, 1e308], [float("nan"), 1], [True, 1], {"__type__": "bytes", "__value__": 5}),
    *(
        {"__type__": "datetime", "__value__": "no"},
        {"__type__": "decimal", "__value__": "x"},
        {"__type__": [], "__value__": 1},
    ),
)
#: Values in a queue that are not messages.
_NOISE = (
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"5",
    b'"text"',
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"properties": 5}',
    b"\x80\x04.",
)


def message(task: str, kwargs: dict[str, Any], *, queue: str) -> dict[str, Any]:
    """A right one, as Kombu puts it into Redis, its body not yet encoded."""
    name = str(uuid.uuid4())
    headers: dict[str, Any] = {"lang": "py", "task": task, "id": name, "root_id": name, "retries": 0}
    headers |= {"parent_id": None, "group": None, "eta": None, "expires": None, "shadow": None, "origin": "test"}
    headers |= {"timelimit": [None, None], "argsrepr": "()", "kwargsrepr": repr(kwargs), "ignore_result": True}
    headers |= {"stamped_headers": None, "stamps": {}, "replaced_task_nesting": 0, "group_index": None}
    properties = {
        "correlation_id": name,
        "reply_to": str(uuid.uuid4()),
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
    }
    body = [[], kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    return {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }


def encoded(made: dict[str, Any]) -> bytes:
    """What is put into the queue's list."""
    if "body" not in made:
        return json.dumps(made).encode()
    body = base64.b64encode(json.dumps(made["body"]).encode()).decode()
    return json.dumps({**made, "body": body}).encode()


def odd_messages(seed: int, count: int, *, queue: str, tasks: dict[str, dict[str, Any]]) -> Iterator[bytes]:
    """``count`` items: every field with every odd value would be too many, so chance picks."""
    chance = random.Random(seed)  # noqa: S311 -- guards nothing
    yield from _NOISE
    for _ in range(count):
        task = chance.choice(sorted(tasks))
        made = message(task, tasks[task], queue=queue)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            _spoil(made, chance)
        if chance.random() < 0.1:
            made["body"] = chance.choice(("%%%", "no base64", 5, None, base64.b64encode(b"\xff{").decode()))
            yield json.dumps(made).encode()
        elif chance.random() < 0.1:
            whole = encoded(made)
            yield whole[: chance.randrange(len(whole))]
        else:
            yield encoded(made)


def _spoil(made: dict[str, Any], chance: random.Random) -> None:
    """Replaces, removes or adds one thing somewhere in the message."""
    places = list(_places(made))
    holder, key = chance.choice(places)
    value = copy.deepcopy(chance.choice(_ODD))
    if isinstance(holder, dict) and chance.random() < 0.2:
        holder.pop(key, None)
    elif isinstance(holder, dict) and chance.random() < 0.1:
        holder["compression"] = value
    else:
        holder[key] = value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in nested dicts and lists, as its holder and its key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield value, key
        yield from _places(each)
