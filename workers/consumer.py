"""How a worker takes the loss of its connection to Redis."""

import warnings

from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer
from celery.worker.state import active_requests, reserved_requests

# At every lost connection Celery advises to let it kill what runs; app/celery.py says why not.
warnings.filterwarnings("ignore", r"\s*In Celery 5.1 we introduced", CPendingDeprecationWarning)


class LossBearingConsumer(Consumer):  # type: ignore[misc]
    """Celery's own, but a lost connection does not end the worker."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Connects again. What is in hand goes on: leases and results are PostgreSQL's matter.

        Its messages come back after the visibility timeout, if Redis still has them, and find the work done.
        """
        # Both for one reason: to give messages back, or to acknowledge them later, Kombu (5.7.0) asks the lost
        # connection for its address, which is forgotten by then: an AttributeError, and nobody expects that.
        if self.task_consumer is not None:
            self.task_consumer.channel.do_restore = False
        super().on_connection_error_after_connected(exc)
        for request in {*active_requests, *reserved_requests}:
            request.acknowledged = True
