"""What Celery tells of itself over Redis, without secrets: replies to ``inspect`` and ``control``, events, results.

Celery censors settings by their names, and misses addresses with passwords in some of them, in error messages,
and in the broker's alternates. Here each text is masked where it leaves the process.
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

#: In Flower, who asks for what is sent; None in every other process.
ASKER: ContextVar[Actor | None] = ContextVar("asker", default=None)


class SecretFreeNode(Node):  # type: ignore[misc]
    """A worker's mailbox."""

    def reply(self, data: Any, *args: Any, **kwargs: Any) -> None:
        """Answers a command."""
        super().reply(_told(data), *args, **kwargs)


class SecretFreeMailbox(Mailbox):  # type: ignore[misc]
    """Celery's mailboxes."""

    node_cls = SecretFreeNode


class SecretFreeControl(Control):  # type: ignore[misc]
    """``app.control``."""

    Mailbox = SecretFreeMailbox

    def broadcast(self, command: str, arguments: Any = None, **options: Any) -> Any:
        """Sends a command to workers; with ``revoke`` goes who asks for it."""
        actor = ASKER.get()
        if actor is not None and command == "revoke":
            arguments = {**(arguments or {}), "by": actor.to_json()}
        return super().broadcast(command, arguments=arguments, **options)


class SecretFreeDispatcher(EventDispatcher):  # type: ignore[misc]
    """Sends events: a task's arguments, its error and its traceback are among them."""

    def send(self, type: str, **fields: Any) -> Any:  # noqa: A002 -- Celery's name
        """Sends an event of this process."""
        return super().send(type, **_told(fields))

    def publish(self, type: str, fields: dict[str, Any], producer: Any, **options: Any) -> Any:  # noqa: A002
        """Sends an event by a producer: that a task was sent."""
        return super().publish(type, _told(fields), producer, **options)


class SecretFreeEvents(Events):  # type: ignore[misc]
    """``app.events``."""

    dispatcher_cls = "batchord.queue.replies:SecretFreeDispatcher"


class SecretFreeBackend(RedisBackend):  # type: ignore[misc]
    """Keeps results: of a task that failed or is tried again its error and its traceback."""

    def store_result(self, task_id: str, result: Any, state: str, traceback: Any = None, **options: Any) -> Any:
        """Keeps what a task came to."""
        if isinstance(result, BaseException):
            result = without_secrets(result)
        if isinstance(traceback, str):
            traceback = mask(traceback)
        return super().store_result(task_id, result, state, traceback=traceback, **options)


class SecretFreeTask(Task):  # type: ignore[misc]
    """Masks the error of a task before the worker's main process learns of it, and sends it as an event.

    Only the process that the task ran in has loaded the pipelines, and knows the secrets that they name.
    """

    abstract = True

    def on_failure(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        """The task raised an error."""
        _mask_info(einfo)
        super().on_failure(exc, task_id, args, kwargs, einfo)

    def on_retry(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        """The task is tried again."""
        _mask_info(einfo)
        super().on_retry(exc, task_id, args, kwargs, einfo)


class MaskedError(BatchordError):
    """Says what an error said whose own class cannot say it without a secret."""


def without_secrets(error: BaseException) -> BaseException:
    """``error`` if it tells no secret; else one that says the same without, of its class where that can be."""
    if not _tells_secrets(error):
        return error
    try:
        told = copy.copy(error)
        told.args = mask_value(error.args)
        told.__cause__, told.__context__ = error.__cause__, error.__context__
        told.__suppress_context__ = error.__suppress_context__
        told.__traceback__ = error.__traceback__
    except Exception:  # noqa: BLE001 -- a class of anybody's may not be copied
        return MaskedError(mask(error_text(error)))
    return MaskedError(mask(error_text(error))) if _tells_secrets(told) else told


def _tells_secrets(error: BaseException) -> bool:
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


def _told(value: Any) -> Any:
    """As people may see it: pages show what workers tell as it is."""
    return in_every_text(mask_value(value), visible)
