"""Kombu's connection to Redis, but an item in a queue that is not a message does not end the worker.

Kombu reads an item and turns it into a message in the worker's own loop, and assumes that this always works.
"""

import logging
from queue import Empty
from typing import Any

from kombu.exceptions import InconsistencyError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, Transport
from redis.exceptions import DataError, RedisError

from .messages import shown

log = logging.getLogger(__name__)

#: Errors for which the item is not to blame.
_OUTSIDE = (RedisError, OSError, InconsistencyError, MemoryError)


class TolerantChannel(Channel):  # type: ignore[misc]
    """Drops items that are not JSON. Reading has already removed them from their queue or channel.

    Kombu makes a client of Redis for each of its commands, which takes longer than to send some of them. Here one
    serves all: it holds nothing but the pool of connections.
    """

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 -- Kombu's signature
        if asynchronous:  # each of these has a connection of its own
            return super()._create_client(asynchronous=True)
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()
        return self._kept

    def _brpop_read(self, **options: Any) -> Any:
        connected = self.client.connection is not None
        try:
            return super()._brpop_read(**options)
        except (Empty, *_OUTSIDE):
            raise
        except Exception as error:
            if not connected:  # no item was read
                raise
            log.error("Dropped a malformed message from one of %s: %s", self.active_queues, shown(error))  # noqa: TRY400
            return True

    def _receive_one(self, c: Any) -> Any:
        connected = c.connection is not None
        try:
            return super()._receive_one(c)
        except (Empty, *_OUTSIDE):
            raise
        except Exception as error:
            if not connected:
                raise
            log.error("Dropped a malformed message that was sent to all workers: %s", shown(error))  # noqa: TRY400
            return None


class TolerantTransport(Transport):  # type: ignore[misc]
    """Drops JSON that is not a message: it has no properties, or its body cannot be decoded."""

    Channel = TolerantChannel

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            super()._deliver(message, queue)
        except DataError as error:  # Redis cannot store the message's delivery tag
            self._drop(message, queue, error)
        except _OUTSIDE:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever the error, the message is to blame
            self._drop(message, queue, error)

    def _drop(self, message: Any, queue: str, error: Exception) -> None:
        log.error("Dropped a malformed message from the queue %s: %s: %s", queue, type(error).__name__, shown(error))
        try:
            tag = message["properties"]["delivery_tag"]
            holders = [channel for channel in self.channels if channel and tag in channel.qos._delivered]  # noqa: SLF001
        except (TypeError, LookupError):
            return  # no channel has noted it as delivered
        for channel in holders:  # otherwise the worker would wait for ever for its end
            channel.basic_reject(tag, requeue=False)


def tolerate() -> None:
    """Makes Kombu use these classes for all new connections to Redis."""
    TRANSPORT_ALIASES.update(redis=f"{__name__}:TolerantTransport", rediss=f"{__name__}:TolerantTransport")
