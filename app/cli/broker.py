"""What commands send to workers, by the tasks' names: the command line needs no worker's code."""

from typing import Any


def send_task(name: str, **options: Any) -> None:
    """Sends a message. Raises ConfigurationError when Redis lets nobody in, TransientError when it does not answer."""
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    from batchord.core.errors import TransientError
    from batchord.queue.redis_server import check_redis, redis_place
    from batchord.settings import settings

    from ..celery import app

    url = settings().require_redis_url()
    check_redis(url)  # what no waiting heals is told at once: Celery and redis-py would try again for a while
    try:
        app.send_task(name, **options)
    except (OperationalError, RedisError) as error:
        said = str(error).splitlines()[0]
        raise TransientError(f"{redis_place(url)} does not answer: {said}. Start it, or correct its address.") from None
