"""The clock steps back while beat runs, or between two beats: nothing waits for that hour to pass again."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redbeat.decoder import RedBeatJSONEncoder

from beat.schedule import PipelineScheduler

_PIPELINE = """
from batchord import Pipeline, SqlSource, every
hourly = Pipeline("hourly", schedule=every(hours=1), source=SqlSource("SELECT id FROM reviews", key="id"), model=len)
"""
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _hourly(tmp_path: Path) -> None:
    """One pipeline."""
    (tmp_path / "hourly.py").write_text(_PIPELINE, encoding="utf-8")


def ran_at(app: Celery, store: Any, moment: datetime) -> None:
    """Sets every entry's last run, and when it is due, as RedBeat does after a tick at ``moment``."""
    for name in app.conf.beat_schedule:
        meta = json.dumps({"last_run_at": moment, "total_run_count": 3}, cls=RedBeatJSONEncoder)
        store.hset(f"test:{name}", "meta", meta)
        store.zadd("test::schedule", {f"test:{name}": (moment + HOUR).timestamp()})


def due_in(app: Celery, store: Any, name: str) -> float:
    """Seconds until an entry is due, by the score that RedBeat goes by and by the entry itself."""
    now = datetime.now(UTC).timestamp()
    _, seconds = PipelineScheduler.Entry.from_key(f"test:{name}", app=app).is_due()
    score: float = store.zscore("test::schedule", f"test:{name}") - now
    assert score == pytest.approx(seconds, abs=2)
    return score


def test_an_entry_that_last_ran_in_the_future_is_due_in_its_time(beat_app: Celery, store: Any) -> None:
    """While beat runs, and when one starts afterwards: the sweep in its 5 seconds, no pipeline later than its slot."""
    running = PipelineScheduler(beat_app)
    for next_beat in (lambda: running, lambda: PipelineScheduler(beat_app)):
        ran_at(beat_app, store, datetime.now(UTC) + HOUR)
        next_beat().tick()
        assert due_in(beat_app, store, "sweep") <= 5
        assert due_in(beat_app, store, "pipeline:hourly") <= HOUR.total_seconds()


def test_an_entry_that_ran_in_the_past_is_left_alone(beat_app: Celery, store: Any) -> None:
    """Or the schedule would never come to its end."""
    scheduler = PipelineScheduler(beat_app)
    ran_at(beat_app, store, datetime.now(UTC) - timedelta(seconds=2))
    before = {name: store.hget(f"test:{name}", "meta") for name in beat_app.conf.beat_schedule}
    scheduler.tick()
    assert {name: store.hget(f"test:{name}", "meta") for name in beat_app.conf.beat_schedule} == before


def test_an_entry_that_never_ran_is_no_obstacle(beat_app: Celery, store: Any) -> None:
    """RedBeat writes such an entry when the time of its last run is not known."""
    scheduler = PipelineScheduler(beat_app)
    store.hset("test:audit", "meta", json.dumps({"last_run_at": None}))
    store.hdel("test:pipeline:hourly", "meta")
    assert scheduler.tick() <= 1
