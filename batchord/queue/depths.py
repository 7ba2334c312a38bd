"""How many messages wait in each queue, and since when. Only this module knows how Kombu stores messages in Redis.

A queue is a list, into which Kombu pushes at the left and from which it takes at the right; a priority has a list of
its own. What a worker has taken and not acknowledged is in a hash, and the time of taking it in a sorted set.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kombu.transport.redis import PRIORITY_STEPS, Channel
from redis.exceptions import RedisError

from batchord.core.errors import TransientError
from batchord.processes.per_process import PerProcess
from batchord.queue.redis_server import check_redis, redis_client, redis_place
from batchord.queue.sent_times import SENT_AT

if TYPE_CHECKING:
    from redis import Redis

#: The most unacknowledged messages that are read. Workers hold one for each process, and those that are not due yet.
MOST_UNACKED = 2000
_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """The messages of one queue."""

    queue: str
    #: Messages that no worker has taken.
    ready: int
    #: Messages that a worker has taken and not acknowledged: it works on them, or they wait for their time.
    unacked: int
    #: For how many seconds the oldest message has been due; None if there is none, or its age is not known.
    oldest_ready: float | None
    #: The same of the messages that a worker has taken.
    oldest_unacked: float | None


class QueueDepths:
    """Reads queues in Redis. It takes and changes no message."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._client = PerProcess(self._connect)

    def read(self, queues: Sequence[str]) -> list[QueueDepth]:
        """The queues in this order. Unacknowledged messages beyond the first :data:`MOST_UNACKED` are not counted.

        Raises ConfigurationError if Redis refuses the connection, TransientError if it does not answer.
        """
        try:
            return self._read(queues)
        except RedisError as error:
            check_redis(self._url)  # raises with advice if waiting cannot help
            raise TransientError(f"{redis_place(self._url)} did not answer: {error}") from error

    def close(self) -> None:
        """Ends the connections, if this process opened any."""
        client = self._client.take()
        if client is not None:
            client.close()

    def _read(self, queues: Sequence[str]) -> list[QueueDepth]:
        client, now = self._client(), time.time()
        with client.pipeline(transaction=False) as pipe:
            for queue in queues:
                for key in _lists(queue):
                    pipe.llen(key)
                    pipe.lindex(key, -1)
            pipe.zrange(Channel.unacked_index_key, 0, MOST_UNACKED - 1)
            *answers, tags = pipe.execute()
        unacked = _by_queue(client.hmget(Channel.unacked_key, tags) if tags else [])
        each = 2 * len(PRIORITY_STEPS)
        parts = [answers[start : start + each] for start in range(0, len(answers), each)]
        return [
            _depth(queue, counts=part[::2], next_items=part[1::2], unacked=unacked.get(queue, []), now=now)
            for queue, part in zip(queues, parts, strict=True)
        ]

    def _connect(self) -> "Redis":
        return redis_client(self._url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)


def _depth(
    queue: str,
    *,
    counts: Sequence[int],
    next_items: Sequence[bytes | None],
    unacked: Sequence[float | None],
    now: float,
) -> QueueDepth:
    return QueueDepth(
        queue=queue,
        ready=sum(counts),
        unacked=len(unacked),
        oldest_ready=_age([_due_at(_parsed(item)) for item in next_items], now),
        oldest_unacked=_age(unacked, now),
    )


def _lists(queue: str) -> list[str]:
    """The keys of a queue's lists, one for each priority."""
    return [f"{queue}{Channel.sep}{step}" if step else queue for step in PRIORITY_STEPS]


def _by_queue(items: Sequence[bytes | str | None]) -> dict[str, list[float | None]]:
    """When the unacknowledged messages of each queue were due. A message that was acknowledged meanwhile is None."""
    queues: dict[str, list[float | None]] = {}
    for item in items:
        match _parsed(item):
            case [message, _, str(queue)]:
                queues.setdefault(queue, []).append(_due_at(message))
    return queues


def _parsed(item: bytes | str | None) -> Any:
    """The JSON of an item; None without an item, or if it is something else: anyone may push into a list of Redis."""
    try:
        return None if item is None else json.loads(item)
    except (ValueError, RecursionError):
        return None


def _due_at(message: Any) -> float | None:
    """When a worker could have executed the message, in seconds since 1970; None: it does not say."""
    headers = message.get("headers") if isinstance(message, dict) else None
    if not isinstance(headers, dict) or not isinstance(sent_at := headers.get(SENT_AT), int | float):
        return None
    try:
        return max(sent_at, datetime.fromisoformat(headers["eta"]).timestamp())
    except (KeyError, TypeError, ValueError, OverflowError):  # the message is due when it is sent
        return float(sent_at)


def _age(due: Sequence[float | None], now: float) -> float | None:
    """Seconds since the earliest time; 0 if all lie in the future."""
    times = [each for each in due if each is not None]
    return max(0.0, now - min(times)) if times else None
