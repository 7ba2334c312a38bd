"""Adds the person who asks Flower for a change to what Flower sends: a task's message, or a command to revoke one."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from celery.signals import before_task_publish
from tornado.web import decode_signed_value

from batchord.core.run.history import MOST_NAME, Actor, Way
from batchord.queue.replies import ASKER

_OURS = "batchord."


class ContextExecutor(ThreadPoolExecutor):
    """Runs Flower's calls of Celery in threads, and passes the person who asked on to them."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """See the base class."""
        return super().submit(copy_context().run, function, *args, **kwargs)


def note_asker(request: Any, user: str | None, cookie_secret: Any) -> None:
    """Remembers the person behind this request, until the next request of its connection.

    ``user``: the name that came with the password; None if another service lets people in. Then Flower keeps their name
    in a signed cookie.
    """
    if user is None:
        user = _user_of_cookie(request, cookie_secret)
    host = request.remote_ip if isinstance(request.remote_ip, str) else None
    ASKER.set(Actor(user=user and user[:MOST_NAME], host=host, way=Way.FLOWER))


@before_task_publish.connect  # type: ignore[untyped-decorator]
def tell_who_asked(sender: Any = None, body: Any = None, **_: Any) -> None:
    """Adds the person who asks to the task's arguments, and overwrites what the request itself says."""
    actor = ASKER.get()
    if actor is None or not isinstance(sender, str) or not sender.startswith(_OURS):
        return
    kwargs = body[1]
    if isinstance(kwargs, dict):
        kwargs["by"] = actor.to_json()


def _user_of_cookie(request: Any, secret: Any) -> str | None:
    if not secret or "user" not in request.cookies:
        return None
    value = decode_signed_value(secret, "user", request.cookies["user"].value)
    return None if value is None else value.decode("utf-8", "replace")
