"""How a worker takes the loss of its connection to Redis, and messages that cannot be understood."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

from celery import signals
from celery.exceptions import CPendingDeprecationWarning, InvalidTaskError
from celery.worker.consumer import Consumer

from .messages import problem, shown

log = logging.getLogger(__name__)

# At every lost connection Celery advises to let it kill what runs; app/celery.py says why not.
warnings.filterwarnings("ignore", r"\s*In Celery 5.1 we introduced", CPendingDeprecationWarning)


class LossBearingConsumer(Consumer):  # type: ignore[misc]
    """Celery's own, but a lost connection does not end the worker.

    To give messages back, or to acknowledge them, Kombu (5.7.0) asks the lost connection for its address, which is
    forgotten by then: an AttributeError, and nobody expects that.

    And a message that no task can be made of is dropped: an error here would end the worker, the message would come
    back, and end the next one.
    """

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What is called with each message that comes."""
        handle = super().create_task_handler(*args, **kwargs)

        def understand_and_handle(message: Any) -> None:
            try:
                wrong = problem(message)
                if wrong is not None:
                    self._drop(message, InvalidTaskError(wrong))
                    return
                handle(message)
            except (*self.connection_errors, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 -- whatever it is, it is the message's
                self._drop(message, error)

        return understand_and_handle

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Drops a message whose body cannot be read. Celery's own stumbles over one without a body."""
        self._drop(message, exc)

    def _drop(self, message: Any, error: Exception) -> None:
        """For good: whoever sent it finds the line in the log."""
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
        """Connects again. What is in hand goes on: leases and results are PostgreSQL's matter.

        Its messages come back after the visibility timeout, if Redis still has them, and find the work done.
        """
        if self.task_consumer is not None:
            self.task_consumer.channel.do_restore = False
        super().on_connection_error_after_connected(exc)

    def call_soon_ack(self, p: Callable[..., None], *args: Any, **kwargs: Any) -> Any:
        """Acknowledges or rejects a message: ``p`` is a method of it. Nothing to do once its connection is lost."""
        message = p.__self__  # type: ignore[attr-defined]  # Celery passes a bound method

        def unless_lost() -> None:
            if not message.channel.closed:
                p(*args, **kwargs)

        return super().call_soon_ack(unless_lost)
