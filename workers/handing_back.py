"""Hands messages back to another worker, or for a later attempt."""

import logging
import random

from celery import Task
from celery.exceptions import Ignore

from batchord.core.errors import TransientError
from batchord.settings import settings

log = logging.getLogger(__name__)

#: How often a message that is too new for this worker is handed back. After that, the sweeper sends its work again.
MOST_HAND_BACKS = 8


def check_version(task: Task, newest: int) -> None:
    """Raises to hand a message back, or to drop it, if its version is newer than ``newest``."""
    version = (task.request.kwargs or {}).get("version", newest)
    if version <= newest:
        return
    problem = f"{task.name} has version {version}, but this worker understands only versions up to {newest}"
    if task.request.retries >= MOST_HAND_BACKS:
        log.error("%s. The message is dropped; the sweeper sends its work again. Update this worker.", problem)
        raise Ignore(problem)
    log.warning("%s. The message is handed back for a newer worker.", problem)
    raise task.retry(exc=TransientError(problem), countdown=next_wait(task), max_retries=MOST_HAND_BACKS)


def next_wait(task: Task) -> float:
    """Seconds until the next attempt. Half of them is random, so that workers do not all come back together."""
    configured = settings()
    wait = min(configured.retry_ceiling_seconds, configured.retry_base_seconds * 2 ** min(task.request.retries, 16))
    return random.uniform(wait / 2, wait)  # noqa: S311 -- spreads load, guards nothing
