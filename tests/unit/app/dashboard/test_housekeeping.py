"""Flower's list of tasks without housekeeping, over Flower's own memory of tasks."""

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from flower.events import EventsState

from app.dashboard.pages.housekeeping import SHOWN_BY, search_without

_TASKS = {
    "a": ("batchord.predict_shard", "succeeded", "3"),
    "b": ("batchord.sweep", "succeeded", "None"),
    "c": ("batchord.watch", "received", None),
    "d": ("batchord.sweep", "failed", None),
    "e": ("batchord.start_run", "succeeded", "None"),
    "f": ("batchord.start_run", "succeeded", "'01a2'"),
}


@pytest.fixture(scope="module")
def flower() -> Any:
    """Flower's events after six tasks."""
    state = EventsState()
    for number, (name, end, result) in enumerate(_TASKS.values()):
        uuid = _id(number)
        common = {"uuid": uuid, "hostname": "control@here", "pid": 1, "clock": number, "utcoffset": 0}
        common |= {"timestamp": time.time() + number, "local_received": time.time()}
        state.event({**common, "type": "task-received", "name": name, "args": "()", "kwargs": "{}", "retries": 0})
        if end != "received":
            state.event({**common, "type": f"task-{end}", "result": result, "runtime": 0.1, "exception": "E()"})
    return SimpleNamespace(state=state)


def _id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def _shown(flower: Any, search: str) -> tuple[Sequence[str], int]:
    page = search_without(flower, search=search, sort_by=None, descending=True, offset=0, limit=15)
    return sorted("abcdef"[int(each[:8], 16)] for each in page.task_ids), page.total_count


@pytest.mark.parametrize(
    ("search", "shown", "total"),
    [
        ("", ["a", "d", "f"], 3),
        ("state:SUCCESS", ["a", "f"], 3),
        ("state:FAILURE", ["d"], 3),
        ("worker:control", ["a", "d", "f"], 3),
        ("name:batchord.sweep", ["b", "d"], 6),
        (f"name:{SHOWN_BY}", ["b", "c", "d"], 6),
        (_id(4), ["e"], 6),
    ],
)
def test_what_the_list_has(flower: Any, search: str, shown: list[str], total: int) -> None:
    """Work, what failed, ticks that opened a run; and housekeeping for who asks for it."""
    assert _shown(flower, search) == (shown, total)
