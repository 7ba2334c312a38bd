"""Kombu's connection to Redis, but what is in a queue and is no message does not end the worker.

Kombu reads an item, and makes a message of it, in the worker's own loop, and takes for granted that it can.
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

#: Not the item's fault.
_OUTSIDE = (RedisError, OSError, InconsistencyError, MemoryError)


class TolerantChannel(Channel):  # type: ignore[misc]
    """Drops items that are not JSON. They have left their queue, or their channel, when they are read."""

    def _brpop_read(self, **options: Any) -> Any:
        connected = self.client.connection is not None
        try:
            return super()._brpop_read(**options)
        except (Empty, *_OUTSIDE):
            raise
        except Exception as error:
            if not connected:  # nothing was read
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
    """Drops JSON that is no message: one without properties, or whose body cannot be decoded."""

    Channel = TolerantChannel

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            super()._deliver(message, queue)
        except DataError as error:  # its delivery tag is nothing that Redis can keep
            self._drop(message, queue, error)
        except _OUTSIDE:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the message's
            self._drop(message, queue, error)

    def _drop(self, message: Any, queue: str, error: Exception) -> None:
        log.error("Dropped a malformed message from the queue %s: %s: %s", queue, type(error).__name__, shown(error))
        try:
            tag = message["properties"]["delivery_tag"]
            holders = [channel for channel in self.channels if channel and tag in channel.qos._delivered]  # noqa: SLF001
        except (TypeError, LookupError):
            return  # it was never noted as taken
        for channel in holders:  # or the worker would wait for its end for ever
            channel.basic_reject(tag, requeue=False)


def tolerate() -> None:
    """Lets every connection to Redis that is made from now on be of this kind."""
    TRANSPORT_ALIASES.update(redis=f"{__name__}:TolerantTransport", rediss=f"{__name__}:TolerantTransport")
