"""Shows beat, in Redis, what people switched at run time."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batchord.core.errors import TransientError
from batchord.core.process.switches import SWITCHED_KEY
from batchord.processes.per_process import PerProcess

if TYPE_CHECKING:
    from redis import Redis

_SECONDS = 5.0


class Switchboard:
    """Implements :class:`batchord.core.ports.Switchboard`."""

    def __init__(self, redis_url: str | None) -> None:
        """``redis_url``: None if there is no Redis, and so no beat that reads it."""
        self._redis_url = redis_url
        self._client = PerProcess(self._connect)

    def show(self, switched: Mapping[str, Mapping[str, Any]]) -> None:
        """See :meth:`batchord.core.ports.Switchboard.show`."""
        if self._redis_url is None:
            return
        # Imported here: a local run needs no Redis, and a new user waits for each import.
        from redis.exceptions import RedisError

        from batchord.queue.redis_server import check_redis, silence

        try:
            self._client().set(SWITCHED_KEY, json.dumps(switched, sort_keys=True))
        except RedisError as error:
            check_redis(self._redis_url)  # raises with advice if waiting cannot help
            raise TransientError(silence(self._redis_url, error)) from error

    def _connect(self) -> "Redis":
        from batchord.queue.redis_server import redis_client

        assert self._redis_url is not None  # noqa: S101 -- show() has checked it
        return redis_client(self._redis_url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
