"""A Celery app whose task notes when it ran. A chain of such tasks is the bare way from one step to the next."""

import os
import time

from celery import Celery

app = Celery("hops", broker=os.environ["PEER_REDIS_URL"], backend=os.environ["PEER_REDIS_URL"])
# Acknowledges as late as Batchord, and takes as many messages at once.
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)


@app.task(name="hops.note")  # type: ignore[untyped-decorator]
def note(times: list[float]) -> list[float]:
    """The times of all links of the chain so far, and of this one."""
    return [*times, time.time()]
