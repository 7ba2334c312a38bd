"""A control worker's threads that may read sources."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, Task
from celery.exceptions import Retry
from redis import Redis

from workers import slots
from workers.slots import count_threads, reading_slot, slots_for


@pytest.fixture(autouse=True)
def _slots_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_slots", [])


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 1), (4, 3), (16, 12)])
def test_some_threads_are_left_to_the_ledger(threads: int, expected: int) -> None:
    """One at least, where there are two."""
    assert slots_for(threads) == expected


def test_a_task_without_a_slot_is_sent_again(redis_url: str) -> None:
    """The task does not wait for a slot, and the new message does not count as a retry."""
    count_threads(SimpleNamespace(pool_cls="threads", concurrency=4))
    with Celery("test", broker=redis_url) as app, Redis.from_url(redis_url) as redis:
        task = _a_task(app)
        task.push_request(id="some", kwargs={"run_id": "r"}, args=(), retries=3, called_directly=False)
        with reading_slot(task), reading_slot(task), reading_slot(task):
            late = pytest.raises(Retry, match="other tasks read sources")
            with late, reading_slot(task):
                raise AssertionError("there was a slot left")
        with reading_slot(task):  # those that were held are free again
            (message,) = redis.lrange("celery", 0, -1)
    headers = json.loads(message)["headers"]
    assert (headers["task"], headers["id"], headers["retries"]) == ("test.read", "some", 3)
    assert headers["eta"] is not None


def test_processes_need_no_slots() -> None:
    """Each has one task at a time."""
    count_threads(SimpleNamespace(pool_cls="prefork", concurrency=1))
    task: Any = SimpleNamespace()
    with reading_slot(task), reading_slot(task):
        pass


def _a_task(app: Celery) -> Task:
    @app.task(bind=True, name="test.read")  # type: ignore[untyped-decorator]
    def read(_self: Task, **_: Any) -> None:
        """Reads nothing."""

    task: Task = read
    return task
