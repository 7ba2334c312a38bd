"""What commands send to workers."""

from collections.abc import Sequence

import click

from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.messages import Message


def ask(task: str, *, task_id: str | None = None, **kwargs: object) -> None:
    """Asks workers for a task of the control queue, by its name: the command line needs no worker's code.

    Raises ConfigurationError when Redis lets nobody in, TransientError when it does not answer.
    """
    from batchord.queue.publisher import UNSENT, Envelope
    from batchord.queue.redis_server import redis_place

    url = _ready()
    try:
        Envelope(task=task, kwargs=dict(kwargs), task_id=task_id).send()
    except UNSENT as error:
        reason = str(error).splitlines()[0]
        raise TransientError(
            f"{redis_place(url)} does not answer: {reason}. Start it or correct its address."
        ) from None


def publish(messages: Sequence[Message]) -> None:
    """Sends what a verb returned. It has committed: where Redis cannot be reached, that is said, and is no error.

    The sweeper sends all that is due, so the work is done when Redis and workers are back.
    """
    if not messages:
        return
    from batchord.queue.publisher import publish as publish_all
    from batchord.wiring import parts

    try:
        _ready()
        reason = "" if not publish_all(messages, catalog=parts().catalog) else "Redis does not answer"
    except (ConfigurationError, TransientError) as error:
        reason = str(error)
    if reason:
        click.echo(
            f"The change is saved. Workers start on it when the message can reach them. Problem now: {reason}", err=True
        )


def _ready() -> str:
    """Makes Batchord's app Celery's current one, and returns Redis's address.

    What no waiting heals is told at once: Celery and redis-py would try again for a while. Raises ConfigurationError
    and TransientError.
    """
    from batchord.queue.redis_server import check_redis, redis_place
    from batchord.settings import settings

    url = settings().require_redis_url()
    if not check_redis(url):
        raise TransientError(f"{redis_place(url)} does not answer. Start it or correct its address.")
    from ..celery import app  # noqa: F401 -- it becomes the current one

    return url
