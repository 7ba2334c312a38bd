"""A worker knows which person had a task terminated."""

from typing import Any

import pytest
from celery.worker.control import Panel

from batchord.core.run.history import Actor, Way
from workers.revoking import asker_of, listen

_NOBODY = Actor(user=None, host=None, way=Way.MESSAGE)


@pytest.fixture
def revoked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments with which Celery's own command was called."""
    calls: list[Any] = []
    monkeypatch.setitem(Panel.data, "revoke", lambda *args, **kwargs: calls.append((args, kwargs)))
    listen()
    listen()  # a second worker in one process, as in tests
    return calls


def test_the_command_says_who_and_does_what_it_did(revoked: list[Any]) -> None:
    """For one task or several. Celery's own command is called once, without the argument that it does not know."""
    ada = Actor(user="ada", host="192.0.2.7", way=Way.FLOWER)
    Panel.data["revoke"]("state", "one", terminate=True, signal="TERM", by=ada.to_json())
    Panel.data["revoke"]("state", ["two", "three"], by=ada.to_json())
    Panel.data["revoke"]("state", "four", terminate=True)
    assert [asker_of(task) for task in ("one", "two", "three")] == [ada] * 3
    assert [asker_of(task) for task in ("four", "five")] == [_NOBODY] * 2
    assert revoked[0] == (("state", "one"), {"terminate": True, "signal": "TERM"})
    assert len(revoked) == 3


def test_what_is_noted_has_an_end(revoked: list[Any]) -> None:
    """A worker lives for months."""
    Panel.data["revoke"]("state", "first", by={"user": "ada"})
    Panel.data["revoke"]("state", [f"task-{number}" for number in range(1000)], by={"user": "eve"})
    assert asker_of("first") == _NOBODY
    assert asker_of("task-0").user == "eve"
    assert len(revoked) == 2
