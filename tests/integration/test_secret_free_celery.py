"""What Celery keeps and sends of a task that failed holds no secret that the task's process knows."""

import gc
import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from kombu import pools

from batchord.core.errors import TransientError
from batchord.output import masking
from tests.waiting import wait_until

# Of Celery's own code, which Batchord's workers run as well.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")

WORD = "known-here-1"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\n-----END PRIVATE KEY-----"


class OddError(Exception):
    """An error whose text has more than its arguments."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word

    def __str__(self) -> str:
        return f"{self.word} and more"


@pytest.fixture
def celery(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """An application with Batchord's classes, over a Redis of this test."""
    monkeypatch.setattr(masking, "_known", (WORD,))
    app = Celery(
        "secrets",
        broker=redis_url,
        backend=f"batchord.queue.replies:SecretFreeBackend+{redis_url}",
        task_cls="batchord.queue.replies:SecretFreeTask",
        events="batchord.queue.replies:SecretFreeEvents",
        set_as_current=False,
    )
    app.conf.accept_content = app.conf.result_accept_content = ["json"]
    yield app
    # A task that is tried again has subscribed to its result: it unsubscribes when it goes, by a socket of its own.
    gc.collect()
    app.backend.result_consumer.stop()
    app.backend.client.close()
    pools.reset()
    app.close()


def traced(app: Celery, function: Any) -> tuple[Any, str]:
    """What a worker's main process learns of a task, and what is kept of it in Redis."""
    task = app.task(function, name=f"test.{function.__name__}", bind=True, max_retries=None)
    task_id = str(uuid4())
    tracer = build_tracer(task.name, task, app=app)
    request = {"id": task_id, "args": (), "kwargs": {}, "delivery_info": {}, "hostname": "h", "is_eager": False}
    (info, *_) = tracer(task_id, (), {}, request)
    return info, app.backend.get(app.backend.get_key_for_task(task_id)).decode()


def fail(_: Any) -> None:
    """As a model whose library quotes its address."""
    try:
        {}[f"postgresql://u:{WORD}@h/x"]
    except KeyError as error:
        raise ValueError(f"{WORD}: {KEY}") from error


def fail_oddly(_: Any) -> None:
    """As a class of a library's own."""
    raise OddError(WORD)


def wait(task: Any) -> None:
    """As a source that is away for a moment."""
    task.retry(exc=TransientError(f"no answer for {WORD}"), countdown=1)


@pytest.mark.parametrize("function", [fail, fail_oddly, wait])
def test_an_error_holds_no_secret(celery: Celery, function: Any) -> None:
    """It reaches the main process, which sends events, and Redis without secrets, and still names the cause."""
    info, kept = traced(celery, function)

    for told in (repr(info.exception), str(info.exception), info.traceback, kept):
        assert WORD not in told
        assert "MIIE" not in told
        assert "***" in told
    assert json.loads(kept)["status"] == ("RETRY" if function is wait else "FAILURE")
    assert (
        type(info.exception).__name__
        == {"fail": "ValueError", "fail_oddly": "MaskedError", "wait": "Retry"}[function.__name__]
    )
    if function is wait:
        assert WORD not in repr(info.exception.exc)


def test_an_error_without_a_secret_is_kept_as_it_is(celery: Celery) -> None:
    """Its class and its words."""

    def plainly(_: Any) -> None:
        raise OddError("a word")

    info, _ = traced(celery, plainly)

    assert (type(info.exception), str(info.exception)) == (OddError, "a word and more")


def test_an_event_steers_no_page(celery: Celery) -> None:
    """Flower shows the characters that would reverse its text in a visible form."""
    sent: list[dict[str, Any]] = []
    with celery.connection_for_write() as writing, celery.connection_for_read() as reading:
        receiver = celery.events.Receiver(reading, handlers={"*": sent.append})
        # Without a limit: what is drained first may be Redis's own word on the subscription.
        thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "timeout": 60, "wakeup": False})
        thread.start()
        dispatcher = celery.events.Dispatcher(writing)

        def arrives() -> bool:  # once the receiver listens
            dispatcher.send("task-failed", uuid="1", exception=f"{WORD} \u202e\x9b \x1b[2J", traceback=f"a\n{KEY}")
            return bool(sent)

        wait_until(arrives, description="an event to arrive")
        receiver.should_stop = True
        thread.join()
        dispatcher.close()

    event = sent[0]
    assert event["exception"] == "*** \\u202e\\x9b \\x1b[2J"
    assert event["traceback"] == "a\n***"
