"""A beat over a real Redis, and a folder for its pipelines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from celery import Celery
from kombu import Connection

from batchord.settings import settings


class _App(Celery):
    """Knows its connections: beat keeps the one to the broker until its process ends, and a test does not end it."""

    opened: list[Connection]

    def connection_for_write(self, *args: Any, **kwargs: Any) -> Connection:
        self.opened.append(super().connection_for_write(*args, **kwargs))
        return self.opened[-1]


@pytest.fixture
def beat_app(redis_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Celery]:
    """Pipelines from the test's folder, a sweep every 5 seconds, and no lock: there is no other beat."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATCHORD_PIPELINES", str(tmp_path))
        patch.setenv("BATCHORD_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("BATCHORD_SWEEP_SECONDS", "5")
        settings.cache_clear()
        with _App(broker=redis_url, set_as_current=False) as app:
            app.opened = []
            app.conf.update(
                redbeat_redis_url=redis_url, redbeat_key_prefix="test:", redbeat_lock_key=None, beat_max_loop_interval=1
            )
            yield app
            app.redbeat_redis.close()
            for connection in app.opened:
                connection.close()
    settings.cache_clear()


@pytest.fixture
def store(redis_url: str) -> Iterator[Any]:
    """What beat keeps in Redis, and what it has sent."""
    with redis_client.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client
