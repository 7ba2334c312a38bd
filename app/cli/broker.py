"""Sends requests and messages of commands to workers."""

from collections.abc import Sequence

import click

from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.messages import Message


def ask(task: str, *, task_id: str | None = None, **kwargs: object) -> None:
    """Sends a task to the control queue by its name, so that the command line needs no worker's code.

    Raises ConfigurationError if Redis refuses the connection, TransientError if it does not answer.
    """
    from batchord.queue.publisher import UNSENT, Envelope
    from batchord.queue.redis_server import silence

    url = _ready()
    try:
        Envelope(task=task, kwargs=dict(kwargs), task_id=task_id).send()
    except UNSENT as error:
        raise TransientError(silence(url, str(error).splitlines()[0])) from None


def publish(messages: Sequence[Message]) -> None:
    """Sends the messages of a verb, which has committed. If Redis cannot be reached, it says so, without an error.

    The sweeper sends all messages that are due, so the work is done when Redis and the workers are back.
    """
    if not messages:
        return
    from batchord.queue.publisher import publish as publish_all
    from batchord.queue.redis_server import silence
    from batchord.wiring import parts

    try:
        url = _ready()
        reason = "" if not publish_all(messages, catalog=parts().catalog) else silence(url)
    except (ConfigurationError, TransientError) as error:
        reason = str(error)
    if reason:
        click.echo(
            f"The change is saved. Workers start on it when the message can reach them. Problem now: {reason}", err=True
        )


def _ready() -> str:
    """Makes Batchord's app Celery's current app, and returns Redis's address.

    It reports errors that waiting cannot correct at once: Celery and redis-py would try again for a while. Raises
    ConfigurationError and TransientError.
    """
    from batchord.queue.redis_server import check_redis, silence
    from batchord.settings import settings

    url = settings().require_redis_url()
    if not check_redis(url):
        raise TransientError(silence(url))
    from ..celery import app  # noqa: F401 -- the import makes it the current app

    return url
