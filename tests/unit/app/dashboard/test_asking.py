"""Workers are told which person asked Flower for a change."""

import base64
from collections.abc import Iterator
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.web import create_signed_value

from app.dashboard.asking import ContextExecutor, note_asker, tell_who_asked
from app.dashboard.door import Door
from batchord.core.run.history import Actor, Way
from batchord.queue.replies import ASKER

_SECRET = "cookies-are-signed"  # noqa: S105 -- of these tests


@pytest.fixture(autouse=True)
def _nobody_asks() -> Iterator[None]:
    before = ASKER.set(None)
    yield
    ASKER.reset(before)


def request(**cookies: str) -> Any:
    """A request of a browser on the machine 192.0.2.7."""
    kept = SimpleCookie()
    for name, value in cookies.items():
        kept[name] = value
    return SimpleNamespace(remote_ip="192.0.2.7", cookies=kept)


def sent(task: str, **kwargs: Any) -> dict[str, Any]:
    """A message's named arguments, as they leave Flower."""
    tell_who_asked(sender=task, body=((), kwargs, {}))
    return kwargs


def test_the_name_is_that_of_the_password() -> None:
    """Of what the header says, which the door has let in."""
    door = Door(credentials=("ada:pass:word",))
    assert door.user("Basic " + base64.b64encode(b"ada:pass:word").decode()) == "ada"
    assert door.user("Basic !") == ""
    assert Door(credentials=()).user("Basic " + base64.b64encode(b"ada:x").decode()) is None


def test_a_message_says_who_asked_whatever_the_request_says() -> None:
    """Only Batchord's own tasks understand it."""
    note_asker(request(), "ada", None)
    who = {"user": "ada", "host": "192.0.2.7", "way": "flower"}
    assert sent("batchord.start_run", pipeline="p", by={"user": "eve"}) == {"pipeline": "p", "by": who}
    assert sent("tasks.of_the_author", pipeline="p") == {"pipeline": "p"}


def test_outside_of_flower_nobody_is_named() -> None:
    """A worker's own messages are not changes by a person."""
    assert sent("batchord.start_run", pipeline="p") == {"pipeline": "p"}


def test_with_oauth_the_name_is_that_of_flowers_own_cookie() -> None:
    """A cookie with another signature names nobody."""
    cookie = create_signed_value(_SECRET, "user", "ada@example.com").decode()
    note_asker(request(user=cookie), None, _SECRET)
    assert ASKER.get() == Actor(user="ada@example.com", host="192.0.2.7", way=Way.FLOWER)
    for forged, secret in ((cookie, "another"), ("ada", _SECRET), (cookie, None)):
        note_asker(request(user=forged), None, secret)
        asker = ASKER.get()
        assert asker is not None
        assert asker.user is None


def test_threads_know_who_asked() -> None:
    """Flower calls Celery in threads."""
    note_asker(request(), "ada", None)
    with ContextExecutor(max_workers=1) as threads:
        asker = threads.submit(ASKER.get).result(timeout=10)
    assert asker is not None
    assert asker.user == "ada"
