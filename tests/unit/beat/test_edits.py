"""Beat takes up edits while it runs: pipelines come, go and are scheduled differently without a restart."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from batchord.catalog import live
from batchord.core.calendar.schedules import every
from beat.schedule import PipelineScheduler
from tests.waiting import wait_until

_HEAD = "from batchord import Pipeline, Python, every\nstep = Python('work', lambda: None)\n"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)


def _write(folder: Path, name: str, hours: int) -> None:
    text = f"{_HEAD}pipeline = Pipeline({name!r}, schedule=every(hours={hours}), steps=[step])\n"
    (folder / f"{name}.py").write_text(text, encoding="utf-8")


def _ticked(scheduler: PipelineScheduler, seen: Callable[[], bool]) -> bool:
    scheduler.tick()
    return seen()


def test_pipelines_come_and_go(beat_app: Celery, store: Any, tmp_path: Path) -> None:
    """In Redis and in what is due; those that stay keep the times of their last ticks."""
    _write(tmp_path, "old", 1)
    _write(tmp_path, "stays", 1)
    scheduler = PipelineScheduler(beat_app)
    stayed = store.hget("test:pipeline:stays", "meta")

    _write(tmp_path, "new", 2)
    (tmp_path / "old.py").unlink()
    wait_until(
        lambda: _ticked(scheduler, lambda: store.exists("test:pipeline:new") and not store.exists("test:pipeline:old")),
        description="beat has the new entry, and the old one no longer",
    )

    assert set(scheduler.Entry.fires) == {"pipeline:new", "pipeline:stays"}
    assert store.hget("test:pipeline:stays", "meta") == stayed
    assert {"pipeline:new", "pipeline:stays"} <= store.smembers("test::statics")
    assert "pipeline:old" not in store.smembers("test::statics")
    assert store.zscore("test::schedule", "test:pipeline:old") is None


def test_a_schedule_that_is_edited_counts_from_then_on(beat_app: Celery, store: Any, tmp_path: Path) -> None:
    """The pipeline's place is that of its new slot."""
    _write(tmp_path, "hourly", 1)
    scheduler = PipelineScheduler(beat_app)
    scheduler.tick()

    _write(tmp_path, "hourly", 500)
    due = every(hours=500).slot_after(datetime.now(UTC))
    assert due is not None
    wait_until(
        lambda: _ticked(
            scheduler, lambda: abs(store.zscore("test::schedule", "test:pipeline:hourly") - due.timestamp()) < 1
        ),
        description="beat has the new schedule",
    )
    assert due > datetime.now(UTC) + timedelta(0)


def test_a_broken_edit_leaves_the_schedules_as_they_are(
    beat_app: Celery, store: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and what was scheduled goes on."""
    _write(tmp_path, "hourly", 1)
    scheduler = PipelineScheduler(beat_app)
    place = store.zscore("test::schedule", "test:pipeline:hourly")

    (tmp_path / "hourly.py").write_text("broken(", encoding="utf-8")
    wait_until(lambda: _ticked(scheduler, lambda: "hourly.py" in caplog.text), description="beat says what is broken")

    assert set(scheduler.Entry.fires) == {"pipeline:hourly"}
    assert store.zscore("test::schedule", "test:pipeline:hourly") == pytest.approx(place, abs=3600)
