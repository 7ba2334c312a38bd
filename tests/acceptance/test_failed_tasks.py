"""Task events for Flower and ``celery events``: a task whose work failed is shown as failed."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_PIPELINES = """
    from batchord import Bash, Pipeline, Predict, Python, SqlSource

    SOURCE = SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at")

    def half_broken(frame):
        if frame.index.min() <= 10:
            raise RuntimeError("the model is broken")
        return frame["body"].str.len()

    def broken(run):
        raise ValueError("the function is broken")

    def fine(run):
        return None

    half = Pipeline(
        "half", steps=[Predict("predict", source=SOURCE, model=half_broken, batch_rows=10, shard_rows=10)]
    )
    steps = Pipeline(
        "steps",
        steps=[
            Python("first", broken),
            Bash("second", "exit 3"),
            Python("last", fine, after=["first", "second"], join="always"),
        ],
    )
"""


class Heard:
    """The last event of each task, as Flower hears it."""

    def __init__(self, app: Celery) -> None:
        self.events: list[dict[str, Any]] = []
        self._app = app
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def _listen(self) -> None:
        with self._app.connection() as connection:
            receiver = self._app.events.Receiver(connection, handlers={"*": self.events.append})
            with receiver.consumer_context() as (own, *_):
                self._ready.set()
                while not self._stop.is_set():
                    try:
                        own.drain_events(timeout=0.2)
                    except TimeoutError:
                        continue

    def stop(self) -> None:
        """Hears no more."""
        self._stop.set()
        self._thread.join(10)

    def ends(self, task: str) -> list[tuple[str, str]]:
        """How the tasks of this name ended, with their messages."""
        names = {each["uuid"]: each["name"] for each in self.events if each["type"] == "task-received"}
        return [
            (each["type"], each.get("exception", ""))
            for each in list(self.events)
            if each["type"] in {"task-succeeded", "task-failed"} and names.get(each["uuid"]) == f"batchord.{task}"
        ]


@pytest.fixture
def heard(notes: Cluster) -> Iterator[Heard]:
    """Listens from before the first message on."""
    notes.pipeline("failing", _PIPELINES)
    with Celery(broker=notes.environment["BATCHORD_REDIS_URL"], set_as_current=False) as app:
        listening = Heard(app)
        try:
            yield listening
        finally:
            listening.stop()


def test_tasks_of_failed_shards_and_steps_have_failed(notes: Cluster, heard: Heard) -> None:
    """Without a sweeper: the chord's body comes all the same. No log has a traceback of it but the author's own."""
    notes.insert_notes(30)
    notes.start("control", "worker")
    ended = json.loads(notes.batchord("run", "half", "--wait", "--json", check=False).stdout)
    assert (ended["state"], ended["predicted"]) == ("partial", 20)
    wait_until(lambda: len(heard.ends("predict_shard")) == 3, description="three shards' tasks have ended")
    assert sorted(kind for kind, _ in heard.ends("predict_shard")) == [
        "task-failed",
        "task-succeeded",
        "task-succeeded",
    ]
    (said,) = (said for kind, said in heard.ends("predict_shard") if kind == "task-failed")
    assert "the model is broken" in said
    assert ended["id"] in said
    wait_until(lambda: heard.ends("finish_step"), description="the chord's body has ended")
    ((kind, said),) = heard.ends("finish_step")
    assert (kind, "1 of 3 shards failed" in said) == ("task-failed", True)
    assert [kind for kind, _ in heard.ends("start_run")] == ["task-succeeded"]
    for worker in ("control", "worker"):
        assert "WorkFailed" in notes.log(worker)
        # The author's own traceback is there, and none of how we came to call the model.
        assert "celery/app/trace.py" not in notes.log(worker)
    assert "in half_broken" in notes.log("worker")


def test_tasks_of_failed_functions_and_commands_have_failed(notes: Cluster, heard: Heard) -> None:
    """Each of them; the step behind them, which runs always, has succeeded."""
    notes.start("control", "worker")
    ended = json.loads(notes.batchord("run", "steps", "--wait", "--json", check=False).stdout)
    assert ended["state"] == "failed"
    wait_until(lambda: len(heard.ends("run_step")) == 3, description="three steps' tasks have ended")
    said = sorted(heard.ends("run_step"))
    assert [kind for kind, _ in said] == ["task-failed", "task-failed", "task-succeeded"]
    assert any("the function is broken" in text for _, text in said)
    assert any("exit code 3" in text for _, text in said)
    notes.call("batchord.advance_run", run_id=ended["id"])
    wait_until(lambda: heard.ends("advance_run"), description="the run's task has ended")
    assert heard.ends("advance_run")[-1][0] == "task-failed"
