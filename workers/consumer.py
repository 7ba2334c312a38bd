"""A worker's consumer, which survives the loss of its connection to Redis and messages that it cannot read."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

from celery import signals
from celery.exceptions import CPendingDeprecationWarning, InvalidTaskError
from celery.worker.consumer import Consumer

from .messages import problem, shown

log = logging.getLogger(__name__)

# At each lost connection, Celery advises to let it kill the running tasks. app/celery.py says why we do not.
warnings.filterwarnings("ignore", r"\s*In Celery 5.1 we introduced", CPendingDeprecationWarning)


class LossBearingConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer, but a lost connection does not end the worker.

    To give messages back or to acknowledge them, Kombu (5.7.0) asks the lost connection for its address. The connection
    has forgotten it by then, so Kombu raises an AttributeError that nobody handles.

    It also drops a message that is not a valid task. An error here would end the worker. Then the message would come
    back and end the next worker, too.
    """

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """The function that Celery calls for each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def check_and_handle(message: Any) -> None:
            try:
                found_problem = problem(message)
                if found_problem is not None:
                    self._drop(message, InvalidTaskError(found_problem))
                    return
                handle(message)
            except (*self.connection_errors, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 -- whatever the error, the message is to blame
                self._drop(message, error)

        return check_and_handle

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Drops a message whose body cannot be read. Celery's own method fails for one without a body."""
        self._drop(message, exc)

    def _drop(self, message: Any, error: Exception) -> None:
        """Drops a message for good. A line in the log tells its sender."""
        headers = message.headers if isinstance(message.headers, dict) else {}
        log.error(
            "Dropped a message that this worker cannot read, from the queue %s: %s (task %s, id %s)",
            (message.delivery_info or {}).get("routing_key"),
            error if isinstance(error, InvalidTaskError) else f"{type(error).__name__}: {shown(error)}",
            shown(headers.get("task")),
            shown(headers.get("id")),
        )
        if not message.acknowledged:
            message.reject_log_error(log, self.connection_errors)
        signals.task_rejected.send(sender=self, message=message, exc=error)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Connects again. Running tasks continue: their leases and results are in PostgreSQL.

        Redis, if it still has their messages, delivers them again after the visibility timeout, when the work is done.
        """
        if self.task_consumer is not None:
            self.task_consumer.channel.do_restore = False
        super().on_connection_error_after_connected(exc)

    def call_soon_ack(self, p: Callable[..., None], *args: Any, **kwargs: Any) -> Any:
        """Acknowledges or rejects a message; ``p`` is its method. Does nothing if its connection is lost."""
        message = p.__self__  # type: ignore[attr-defined]  # Celery passes a bound method

        def unless_lost() -> None:
            if not message.channel.closed:
                p(*args, **kwargs)

        return super().call_soon_ack(unless_lost)
