"""What Celery tells of itself over Redis, without secrets: replies to ``inspect`` and ``control``, and events.

Celery censors settings by their names, and misses addresses with passwords in some of them, in error messages,
and in the broker's alternates. Here each text is masked where it leaves the process.
"""

from functools import cache
from typing import Any

from celery.app.control import Control
from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from kombu.pidbox import Mailbox, Node

from app.core.secrets import masked_value
from app.known_secrets import known_secrets
from app.settings import settings


@cache
def _known() -> tuple[str, ...]:
    return tuple(known_secrets(settings()))


class SecretFreeNode(Node):  # type: ignore[misc]
    """A worker's mailbox."""

    def reply(self, data: Any, *args: Any, **kwargs: Any) -> None:
        """Answers a command."""
        super().reply(masked_value(data, known=_known()), *args, **kwargs)


class SecretFreeMailbox(Mailbox):  # type: ignore[misc]
    """Celery's mailboxes."""

    node_cls = SecretFreeNode


class SecretFreeControl(Control):  # type: ignore[misc]
    """``app.control``."""

    Mailbox = SecretFreeMailbox


class SecretFreeDispatcher(EventDispatcher):  # type: ignore[misc]
    """Sends events: a task's arguments, its error and its traceback are among them."""

    def send(self, type: str, **fields: Any) -> Any:  # noqa: A002 -- Celery's name
        """Sends an event of this process."""
        return super().send(type, **masked_value(fields, known=_known()))

    def publish(self, type: str, fields: dict[str, Any], producer: Any, **options: Any) -> Any:  # noqa: A002
        """Sends an event by a producer: that a task was sent."""
        return super().publish(type, masked_value(fields, known=_known()), producer, **options)


class SecretFreeEvents(Events):  # type: ignore[misc]
    """``app.events``."""

    dispatcher_cls = "app.replies:SecretFreeDispatcher"
