"""Masks what Celery sends over Redis about itself: replies to ``inspect`` and ``control``, events, results.

Celery hides settings by their names. It misses passwords in the addresses of some settings, in error messages and in
the broker's alternates. So this module masks each text where it leaves the process.
"""

import copy
from contextvars import ContextVar
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery import Task
from celery.app.control import Control
from celery.app.events import Events
from celery.backends.redis import RedisBackend
from celery.events.dispatcher import EventDispatcher
from celery.exceptions import Retry
from kombu.pidbox import Mailbox, Node

from batchord.core.errors import BatchordError
from batchord.core.run.history import Actor
from batchord.core.text.error_text import error_text
from batchord.core.text.nested import in_every_text
from batchord.core.text.visible import visible
from batchord.output.masking import mask, mask_value

#: In Flower, the person behind the current request; None in every other process.
ASKER: ContextVar[Actor | None] = ContextVar("asker", default=None)


class SecretFreeNode(Node):  # type: ignore[misc]
    """A worker's mailbox."""

    def reply(self, data: Any, *args: Any, **kwargs: Any) -> None:
        """Answers a command, masked."""
        super().reply(_presentable(data), *args, **kwargs)


class SecretFreeMailbox(Mailbox):  # type: ignore[misc]
    """Celery's mailboxes."""

    node_cls = SecretFreeNode


class SecretFreeControl(Control):  # type: ignore[misc]
    """``app.control``."""

    Mailbox = SecretFreeMailbox

    def broadcast(self, command: str, arguments: Any = None, **options: Any) -> Any:
        """Sends a command to workers. Adds the person who asks for it to a ``revoke``."""
        actor = ASKER.get()
        if actor is not None and command == "revoke":
            arguments = {**(arguments or {}), "by": actor.to_json()}
        return super().broadcast(command, arguments=arguments, **options)


class SecretFreeDispatcher(EventDispatcher):  # type: ignore[misc]
    """Sends events, masked. They hold a task's arguments, its error and its traceback."""

    def send(self, type: str, **fields: Any) -> Any:  # noqa: A002 -- Celery's name
        """Sends an event of this process."""
        return super().send(type, **_presentable(fields))

    def publish(self, type: str, fields: dict[str, Any], producer: Any, **options: Any) -> Any:  # noqa: A002
        """Sends the event that a task was sent."""
        return super().publish(type, _presentable(fields), producer, **options)


class SecretFreeEvents(Events):  # type: ignore[misc]
    """``app.events``."""

    dispatcher_cls = "batchord.queue.replies:SecretFreeDispatcher"


class SecretFreeBackend(RedisBackend):  # type: ignore[misc]
    """Stores results, masked: the error and the traceback of a task that failed or is tried again."""

    def store_result(self, task_id: str, result: Any, state: str, traceback: Any = None, **options: Any) -> Any:
        """Stores the result of a task."""
        if isinstance(result, BaseException):
            result = without_secrets(result)
        if isinstance(traceback, str):
            traceback = mask(traceback)
        return super().store_result(task_id, result, state, traceback=traceback, **options)


class SecretFreeTask(Task):  # type: ignore[misc]
    """Masks the error of a task before the worker's main process gets it and sends it as an event.

    Only the process in which the task ran has loaded the pipelines, so only this process knows their secrets.
    """

    abstract = True

    def on_failure(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        """Celery calls this if the task raised an error."""
        _mask_info(einfo)
        super().on_failure(exc, task_id, args, kwargs, einfo)

    def on_retry(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        """Celery calls this if the task is tried again."""
        _mask_info(einfo)
        super().on_retry(exc, task_id, args, kwargs, einfo)


class MaskedError(BatchordError):
    """Holds the masked text of an error whose own class cannot be masked."""


def without_secrets(error: BaseException) -> BaseException:
    """``error`` itself if its text holds no secret; otherwise a masked copy, of the same class if possible."""
    if not _holds_secrets(error):
        return error
    try:
        masked_error = copy.copy(error)
        masked_error.args = mask_value(error.args)
        masked_error.__cause__, masked_error.__context__ = error.__cause__, error.__context__
        masked_error.__suppress_context__ = error.__suppress_context__
        masked_error.__traceback__ = error.__traceback__
    except Exception:  # noqa: BLE001 -- an author's class may refuse to be copied
        return MaskedError(mask(error_text(error)))
    return MaskedError(mask(error_text(error))) if _holds_secrets(masked_error) else masked_error


def _holds_secrets(error: BaseException) -> bool:
    try:
        texts = [str(error), repr(error)]
    except Exception:  # noqa: BLE001 -- see error_text
        texts = []
    return any(mask(text) != text for text in texts)


def _mask_info(einfo: Any) -> None:
    error = einfo.exception
    if isinstance(error, ExceptionWithTraceback):
        error = error.exc
    if isinstance(error, Retry):
        error.message, error.excs = (text and mask(text) for text in (error.message, error.excs))
        error.exc = error.exc and without_secrets(error.exc)
        error.args = (error.exc, error.when)
    else:
        error = without_secrets(error)
    einfo.exception = error
    einfo.traceback = mask(einfo.traceback)


def _presentable(value: Any) -> Any:
    """``value`` in a form that people may see: pages show texts from workers unchanged."""
    return in_every_text(mask_value(value), visible)
