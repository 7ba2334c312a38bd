"""When a message is handed back for another worker, or for later."""

import logging
import random

from celery import Task
from celery.exceptions import Ignore

from batchord.core.errors import TransientError
from batchord.settings import settings

log = logging.getLogger(__name__)

#: How often a message that this worker cannot understand yet is handed back before it is left to the sweeper.
MOST_HAND_BACKS = 8


def understand(task: Task, known: int) -> None:
    """Hands a message of a newer version than ``known`` back, or drops it: by raising."""
    version = (task.request.kwargs or {}).get("version", known)
    if version <= known:
        return
    said = f"{task.name} has version {version}, but this worker understands only versions up to {known}"
    if task.request.retries >= MOST_HAND_BACKS:
        log.error("%s. The message is dropped; the sweeper sends its work again. Update this worker.", said)
        raise Ignore(said)
    log.warning("%s. The message is handed back for a newer worker.", said)
    raise task.retry(exc=TransientError(said), countdown=next_wait(task), max_retries=MOST_HAND_BACKS)


def next_wait(task: Task) -> float:
    """Seconds until the next attempt. Half are jitter: workers that failed together do not come back together."""
    configured = settings()
    wait = min(configured.retry_ceiling_seconds, configured.retry_base_seconds * 2 ** min(task.request.retries, 16))
    return random.uniform(wait / 2, wait)  # noqa: S311 -- spreads load, guards nothing
