"""No task ends with a lack of memory: Celery's parent process would end with it."""

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from celery.exceptions import Retry

from batchord.core.errors import WorkFailed
from batchord.core.process import exhaustion
from workers import replacing
from workers.bearing import BearingTask


@pytest.fixture
def celery() -> Iterator[Celery]:
    """An app of its own, whose messages stay in memory."""
    app = Celery("test", task_cls=BearingTask, broker="memory://", set_as_current=False)
    app.conf.task_ignore_result = True
    yield app
    app.close()


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks that a test leaves on its process do not reach another test."""
    monkeypatch.setattr(exhaustion._Process, "exhausted", False)  # noqa: SLF001 -- a process forgets it by ending
    monkeypatch.setattr(replacing._Process, "begun", 0)  # noqa: SLF001 -- as above


def ended(celery: Celery, body: Callable[..., Any]) -> Any:
    """What a pool's process tells its parent of a task."""
    task = celery.task(body, name="t", shared=False)
    tracer = build_tracer("t", task, app=celery, propagate=False)
    request = {"id": "1", "delivery_info": {"routing_key": "q", "exchange": ""}, "retries": 0}
    return tracer("1", (), {}, request).info


@pytest.mark.parametrize(
    "lack", [MemoryError(), RuntimeError("can't start new thread"), OSError(errno.ENOMEM, "Cannot allocate memory")]
)
def test_a_task_that_lacks_memory_is_handed_back(celery: Celery, lack: Exception) -> None:
    """For another process, and this one is to end."""

    def body() -> None:
        raise lack

    info = ended(celery, body)

    assert info is not None
    assert isinstance(info.retval, Retry)
    assert exhaustion.is_exhausted()


@pytest.mark.parametrize("error", [WorkFailed("its shard has failed"), ValueError("a bug"), RuntimeError("a bug")])
def test_other_errors_stay_what_they_are(celery: Celery, error: Exception) -> None:
    """They say nothing about the process."""

    def body() -> None:
        raise error

    assert ended(celery, body).retval is error
    assert not exhaustion.is_exhausted()


def test_a_process_is_new_for_its_first_task_only(celery: Celery) -> None:
    """A memory error in a later task may be due to memory that an earlier task keeps."""
    new: list[bool] = []

    def body() -> None:
        new.append(replacing.is_new())

    for _ in range(2):
        ended(celery, body)
    assert new == [True, False]
