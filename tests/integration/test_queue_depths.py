"""How many messages wait in each queue, and how old they are, over a real Redis and Celery's own sending."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import redis as redis_client
from celery import Celery, group
from celery.contrib.testing.app import setup_default_app
from kombu import pools

from app.configuration import QUEUES
from app.exposition import exposition
from batchord.core.errors import TransientError
from batchord.queue.depths import MOST_UNACKED, QueueDepth, QueueDepths
from batchord.queue.sent_times import SENT_AT
from batchord.reports.metrics import read_metrics
from batchord.reports.queues import queues_now

#: A port of loopback on which nothing listens: only root may, and no service has it.
NOBODY = 1


@pytest.fixture
def celery(redis_url: str) -> Iterator[Celery]:
    """Somebody who sends messages as Batchord does.

    It is the current app meanwhile: Celery sends the parts of a group by that.
    """
    app = Celery("test", broker=redis_url, set_as_current=False)
    with setup_default_app(app):
        app.set_current()
        yield app
    pools.reset()  # Kombu keeps the app's connections in the process


@pytest.fixture
def depths(redis_url: str) -> Iterator[QueueDepths]:
    """The reader of the queues."""
    with closing(QueueDepths(redis_url)) as depths:
        yield depths


@pytest.fixture
def redis(redis_url: str) -> Iterator[redis_client.Redis]:
    """A client of the same Redis."""
    with redis_client.Redis.from_url(redis_url) as client:
        yield client


def depth(depths: QueueDepths, queue: str = "text") -> QueueDepth:
    """One queue."""
    (found,) = depths.read([queue])
    return found


def message(sent_at: object, *, eta: str | None = None) -> str:
    """A message as Kombu stores it, sent at some time."""
    return json.dumps({"body": "", "headers": {SENT_AT: sent_at, "eta": eta}, "properties": {}})


def test_an_empty_redis_has_empty_queues(depths: QueueDepths) -> None:
    """Also a queue that nobody has used."""
    assert depth(depths) == QueueDepth(queue="text", ready=0, unacked=0, oldest_ready=None, oldest_unacked=None)


def test_every_message_says_when_it_was_sent(celery: Celery, depths: QueueDepths, redis: redis_client.Redis) -> None:
    """A single one, and each part of a group, as the header of a chord is one.

    No app knows these tasks. Celery checks the arguments of a task that it knows.
    """
    celery.send_task("test.single", queue="text")
    parts = [celery.signature("test.part", immutable=True, queue="text") for _ in range(3)]
    group(parts, app=celery).apply_async()

    assert depth(depths).ready == 4
    for item in redis.lrange("text", 0, -1):
        assert abs(json.loads(item)["headers"][SENT_AT] - time.time()) < 60
    assert 0 <= (depth(depths).oldest_ready or -1) < 60


def test_the_oldest_message_is_the_one_that_is_taken_next(depths: QueueDepths, redis: redis_client.Redis) -> None:
    """Priorities are lists of their own; all of them count."""
    now = time.time()
    redis.lpush("text", message(now - 100), message(now - 10))
    redis.lpush("text\x06\x169", message(now - 1000))

    assert depth(depths).ready == 3
    assert depth(depths).oldest_ready == pytest.approx(1000, abs=30)


def test_what_a_worker_has_taken_counts_apart(celery: Celery, depths: QueueDepths) -> None:
    """By the queue that it came from, until it is acknowledged."""
    for queue in ("text", "text", "image"):
        celery.send_task("batchord.predict_shard", queue=queue)
    with celery.connection_for_read() as connection:
        taken = connection.SimpleQueue("text").get(timeout=10)

        assert (depth(depths).ready, depth(depths).unacked, depth(depths, "image").unacked) == (1, 1, 0)
        assert 0 <= (depth(depths).oldest_unacked or -1) < 60
        taken.ack()
        assert depth(depths).unacked == 0


def test_a_message_that_waits_for_its_time_is_not_old(depths: QueueDepths, redis: redis_client.Redis) -> None:
    """It is due later than it was sent."""
    now = datetime.now(UTC)
    redis.lpush("text", message(now.timestamp() - 500, eta=(now + timedelta(minutes=1)).isoformat()))
    assert depth(depths).oldest_ready == 0

    redis.lpush("image", message(now.timestamp() - 500, eta=(now - timedelta(seconds=100)).isoformat()))
    assert depth(depths, "image").oldest_ready == pytest.approx(100, abs=30)


@pytest.mark.parametrize(
    "item",
    ["", "no JSON", "[" * 100_000, "[]", "1", "{}", '{"headers": 1}', message(None), message("then"), message([])],
    ids=["empty", "text", "deep", "list", "number", "object", "headers", "none", "words", "array"],
)
def test_an_item_that_is_no_message_has_no_age(item: str, depths: QueueDepths, redis: redis_client.Redis) -> None:
    """It is counted all the same: it is in the queue."""
    redis.lpush("text", item)
    redis.zadd("unacked_index", {"tag": 1})
    redis.hset("unacked", "tag", item)

    assert depth(depths) == QueueDepth(queue="text", ready=1, unacked=0, oldest_ready=None, oldest_unacked=None)


def test_an_unknown_age_is_no_age_of_zero(depths: QueueDepths, redis: redis_client.Redis) -> None:
    """A message of the release before has no time; its series is missing instead of saying that nothing waits."""
    redis.lpush("text", message(None))
    reading = read_metrics(version="1", ledger=None, depths=depths, standard_queues=QUEUES)
    lines = exposition(reading).splitlines()

    assert 'batchord_queue_messages{queue="text",state="ready"} 1.0' in lines
    assert 'batchord_queue_oldest_message_age_seconds{queue="image",state="ready"} 0.0' in lines
    assert not [
        line for line in lines if line.startswith('batchord_queue_oldest_message_age_seconds{queue="text",state="r')
    ]


def test_reading_is_bounded(depths: QueueDepths, redis: redis_client.Redis) -> None:
    """Of very many unacknowledged messages, those that were taken first are read."""
    item = json.dumps([json.loads(message(time.time() - 5)), "", "text"])
    tags = [str(number) for number in range(MOST_UNACKED + 100)]
    redis.zadd("unacked_index", {tag: float(tag) for tag in tags})
    redis.hset("unacked", mapping=dict.fromkeys(tags, item))

    assert depth(depths).unacked == MOST_UNACKED


def test_the_standard_queues_come_first(depths: QueueDepths) -> None:
    """Each queue comes once."""
    found = queues_now(depths, standard=QUEUES, others=["special", "text", "a"])

    assert [each.queue for each in found] == [*QUEUES, "a", "special"]


def test_a_redis_that_is_away_is_an_error_of_a_sentence() -> None:
    """Its cause is not lost."""
    with pytest.raises(TransientError, match=r"Redis at 127\.0\.0\.1"):
        QueueDepths(f"redis://127.0.0.1:{NOBODY}/0").read(["text"])
