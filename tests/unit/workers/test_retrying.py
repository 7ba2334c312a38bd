"""How a task ends that cannot do its work now."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, Task
from celery.app.trace import build_tracer
from celery.exceptions import Ignore, Retry

from batchord.catalog import Problem, Snapshot
from batchord.catalog.reading import Loaded
from batchord.core.errors import TransientError, UnknownPipeline
from batchord.core.run.messages import LONGEST_DELAY, VERSION
from workers.bearing import BearingTask
from workers.handing_back import MOST_HAND_BACKS
from workers.tasks import retrying


@pytest.fixture
def celery() -> Iterator[Celery]:
    """An app of its own, whose messages stay in memory."""
    with Celery("test", task_cls=BearingTask, broker="memory://", set_as_current=False) as app:
        app.conf.task_ignore_result = True
        yield app


def _ended(celery: Celery, work: Callable[[], Any], *, retries: int = 0, only_here: bool = False, **kwargs: Any) -> Any:
    """What the task's process tells its parent: None where the task succeeded."""

    def body(self: Task, **_: Any) -> None:
        with retrying(self, only_here=only_here):
            work()

    names = itertools.count()
    while (name := f"t{next(names)}") in celery.tasks:
        pass
    task = celery.task(body, name=name, bind=True, shared=False)
    tracer = build_tracer(task.name, task, app=celery, propagate=False)
    request = {"id": "1", "delivery_info": {"routing_key": "q", "exchange": ""}, "retries": retries, "kwargs": kwargs}
    info = tracer("1", (), kwargs, request).info
    return None if info is None else info.retval


def _raises(error: Exception) -> Callable[[], Any]:
    def work() -> None:
        raise error

    return work


def test_a_passing_fault_is_tried_again_however_often(celery: Celery) -> None:
    """The ledger counts attempts that did work. Deliveries of a message have no limit."""
    for retries in (0, 100):
        assert isinstance(_ended(celery, _raises(TransientError("the database is away")), retries=retries), Retry)


def test_an_authors_wait_holds(celery: Celery) -> None:
    """A long one is the sweeper's matter: a message that waits is held by a worker."""
    asked = _ended(celery, _raises(TransientError("later", wait=7.0)))
    assert isinstance(asked, Retry)
    assert asked.when == 7.0

    assert isinstance(_ended(celery, _raises(TransientError("much later", wait=LONGEST_DELAY + 1))), Ignore | None)


def test_a_pipeline_that_is_unknown_here_is_handed_back_for_a_while(celery: Celery) -> None:
    """In a rolling deploy another worker knows it; there may be none, so that is limited."""
    unknown = UnknownPipeline("There is no pipeline p")
    assert isinstance(_ended(celery, _raises(unknown)), Retry)
    assert _ended(celery, _raises(unknown), retries=MOST_HAND_BACKS) is unknown


def test_a_request_waits_for_as_long_as_a_file_is_broken(celery: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would send it again; when all files are loaded and none knows its pipeline, it ends like others."""
    files = Loaded()
    monkeypatch.setattr("workers.tasks.parts", lambda: SimpleNamespace(catalog=Snapshot(Path("pipelines"), files)))
    unknown = UnknownPipeline("There is no pipeline p")
    files.problems.append(Problem(file="p.py", pipeline=None, what="line 1: ImportError"))
    assert isinstance(_ended(celery, _raises(unknown), retries=1000, only_here=True), Retry)
    assert _ended(celery, _raises(unknown), retries=MOST_HAND_BACKS) is unknown
    files.problems.clear()
    assert _ended(celery, _raises(unknown), retries=1000, only_here=True) is unknown


def test_a_message_of_a_newer_release_is_not_begun(celery: Celery, caplog: pytest.LogCaptureFixture) -> None:
    """It is handed back for a newer worker, then left to the sweeper; one without a version is understood."""
    begun: list[int] = []

    assert isinstance(_ended(celery, lambda: begun.append(1), version=VERSION + 1), Retry)
    _ended(celery, lambda: begun.append(2), retries=MOST_HAND_BACKS, version=VERSION + 1)
    assert begun == []
    assert "Update this worker" in caplog.text
    assert _ended(celery, lambda: begun.append(3), version=VERSION) is None
    assert _ended(celery, lambda: begun.append(4)) is None
    assert begun == [3, 4]
