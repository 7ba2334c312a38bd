"""How a worker takes the loss of its connection to Redis."""

import warnings
from collections.abc import Callable
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer

# At every lost connection Celery advises to let it kill what runs; app/celery.py says why not.
warnings.filterwarnings("ignore", r"\s*In Celery 5.1 we introduced", CPendingDeprecationWarning)


class LossBearingConsumer(Consumer):  # type: ignore[misc]
    """Celery's own, but a lost connection does not end the worker.

    To give messages back, or to acknowledge them, Kombu (5.7.0) asks the lost connection for its address, which is
    forgotten by then: an AttributeError, and nobody expects that.
    """

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
