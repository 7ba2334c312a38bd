"""Beat over a real Redis: what it sends, in which order it looks, and what a person switches meanwhile."""

import json
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redbeat.decoder import RedBeatJSONEncoder

from batchord.core.calendar.schedules import cron, every
from batchord.core.process.switches import SWITCHED_KEY
from beat.schedule import PipelineScheduler, offset

_HEAD = """
from datetime import UTC, datetime, timedelta
from batchord import Pipeline, Python, after_pipeline, cron, every, once, rrule

step = Python("work", lambda: None)
"""
HOUR = timedelta(hours=1)
#: Writes a pipeline file whose text may use Pipeline, step and every kind of schedule.
Declare = Callable[[str], None]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """See :data:`Declare`."""

    def declare(text: str) -> None:
        (tmp_path / "declared.py").write_text(_HEAD + text, encoding="utf-8")

    return declare


class Beat:
    """A scheduler whose upkeep is never due, and what it sends for pipelines."""

    def __init__(self, app: Celery, store: Any) -> None:
        self.app, self.store = app, store
        self.scheduler = PipelineScheduler(app)
        store.zrem("test::schedule", *(f"test:{name}" for name in ("sweep", "watch", "audit", "prune")))

    def tick(self) -> list[str]:
        """The pipelines for which a tick is sent now."""
        self.scheduler.tick()
        found = []
        while (message := self.store.rpop("control")) is not None:
            message = json.loads(message)
            assert message["headers"]["task"] == "batchord.start_run"
            _, values, _ = json.loads(b64decode(message["body"]))
            assert values["trigger"] == "schedule"
            found.append(values["pipeline"])
        return found

    def ran(self, *names: str, ago: timedelta) -> None:
        """Sets the last ticks of these pipelines back, and with them their places."""
        for name in names:
            meta = {"last_run_at": datetime.now(UTC) - ago, "total_run_count": 3}
            self.store.hset(f"test:pipeline:{name}", "meta", json.dumps(meta, cls=RedBeatJSONEncoder))
            self.scheduler.Entry.from_key(f"test:pipeline:{name}", app=self.app).save()

    def switch(self, **switched: dict[str, Any]) -> None:
        """Shows what is not as the files say, as workers do."""
        self.store.set(SWITCHED_KEY, json.dumps(switched))

    def place(self, name: str) -> float:
        """By what RedBeat orders the pipeline: the time at which it is due, or -1."""
        score: float = self.store.zscore("test::schedule", f"test:pipeline:{name}")
        return score

    def assert_due(self, name: str, at: datetime) -> None:
        """The pipeline's place is that time."""
        assert self.place(name) == pytest.approx(at.timestamp(), abs=1)


def test_a_pipeline_that_is_due_is_ticked_once(beat_app: Celery, store: Any, declare: Declare) -> None:
    """However many slots have passed; its next place is its next slot, with its jitter."""
    jitter = timedelta(minutes=50)
    declare('hourly = Pipeline("hourly", schedule=every(hours=1), jitter=timedelta(minutes=50), steps=[step])')
    beat = Beat(beat_app, store)
    beat.ran("hourly", ago=5 * HOUR)

    assert [beat.tick() for _ in range(3)] == [["hourly"], [], []]

    mine = offset("hourly", jitter)
    beat.assert_due("hourly", every(hours=1).slot_after(datetime.now(UTC) - mine) + mine)


def test_a_pipeline_that_is_new_waits_for_its_next_slot(beat_app: Celery, store: Any, declare: Declare) -> None:
    """Slots from before the pipeline existed get no run."""
    declare('daily = Pipeline("daily", schedule=cron("0 3 * * *", "Europe/Berlin"), steps=[step])')
    beat = Beat(beat_app, store)

    assert beat.tick() == []
    assert 0 < beat.place("daily") - datetime.now(UTC).timestamp() <= 25 * 3600


def test_ticks_follow_the_schedules_of_each(beat_app: Celery, store: Any, declare: Declare) -> None:
    """Four pipelines last ran two hours ago. Those whose slots have come are ticked, in order of time."""
    now = datetime.now(UTC)
    declare(f"""
minute = Pipeline("minute", schedule=cron("* * * * *"), steps=[step])
past = Pipeline("past", schedule=once(datetime.fromisoformat("{now - HOUR}")), steps=[step])
coming = Pipeline("coming", schedule=once(datetime.fromisoformat("{now + HOUR}")), steps=[step])
month = Pipeline("month", schedule=rrule("FREQ=YEARLY;BYMONTH={(now + timedelta(days=40)).month}"), steps=[step])
""")
    beat = Beat(beat_app, store)
    beat.ran("minute", "past", "coming", "month", ago=2 * HOUR)

    assert sorted(beat.tick()) == ["minute", "past"]

    assert [name for name in store.zrange("test::schedule", 0, -1) if "pipeline" in name] == [
        f"test:pipeline:{name}" for name in ("past", "minute", "coming", "month")
    ]
    beat.assert_due("coming", now + HOUR)
    assert beat.place("past") == -1, "it fired, and never will again"


def test_a_paused_pipeline_is_not_ticked(beat_app: Celery, store: Any, declare: Declare) -> None:
    """Neither the running beat nor the next one ticks it. After a resume it gets one tick for all missed slots."""
    declare('hourly = Pipeline("hourly", schedule=every(hours=1), steps=[step])')
    beat = Beat(beat_app, store)
    beat.ran("hourly", ago=5 * HOUR)
    beat.switch(hourly={"paused": True})

    for running in (beat, Beat(beat_app, store)):
        assert running.tick() == []
        assert running.place("hourly") == -1

    running.switch()
    assert [running.tick() for _ in range(3)] == [["hourly"], [], []]


def test_a_pipeline_is_scheduled_differently_and_back(beat_app: Celery, store: Any, declare: Declare) -> None:
    """At the next tick, without a restart; the others keep their places."""
    declare("""
by_hand = Pipeline("by_hand", steps=[step])
daily = Pipeline("daily", schedule=every(days=1), steps=[step])
other = Pipeline("other", schedule=every(days=1), steps=[step])
""")
    beat = Beat(beat_app, store)
    assert beat.place("by_hand") == -1
    before = beat.place("other")
    soon = datetime.now(UTC) + 2 * HOUR

    beat.switch(by_hand={"schedule": {"once": soon.isoformat()}}, daily={"schedule": {"every": 7200}})
    assert beat.tick() == []
    beat.assert_due("by_hand", soon)
    beat.assert_due("daily", every(hours=2).slot_after(datetime.now(UTC)))
    beat.ran("by_hand", "daily", ago=3 * HOUR)
    assert beat.tick() == ["daily"]

    store.delete(SWITCHED_KEY)
    assert beat.tick() == []
    assert beat.place("by_hand") == -1
    beat.assert_due("daily", every(days=1).slot_after(datetime.now(UTC)))
    assert beat.place("other") == before


def test_the_last_tick_outlives_a_restart(beat_app: Celery, store: Any, declare: Declare) -> None:
    """A beat that was away catches up with one tick; one that was ticked is not ticked again."""
    declare('hourly = Pipeline("hourly", schedule=every(hours=1), steps=[step])')
    Beat(beat_app, store).ran("hourly", ago=5 * HOUR)

    assert [Beat(beat_app, store).tick() for _ in range(2)] == [["hourly"], []]


def test_pipelines_that_are_gone_or_follow_others_have_no_entry(beat_app: Celery, store: Any, declare: Declare) -> None:
    """Nor is what they were ticked by left over in Redis."""
    declare("""
old = Pipeline("old", schedule=every(hours=1), steps=[step])
turned = Pipeline("turned", schedule=every(hours=1), steps=[step])
""")
    beat = Beat(beat_app, store)
    beat.ran("old", "turned", ago=5 * HOUR)
    declare("""
new = Pipeline("new", schedule=every(hours=1), steps=[step])
turned = Pipeline("turned", schedule=after_pipeline("new"), steps=[step])
""")

    assert Beat(beat_app, store).tick() == []

    assert store.keys("test:pipeline:*") == ["test:pipeline:new"]
    assert [key for key in store.zrange("test::schedule", 0, -1) if "pipeline" in key] == ["test:pipeline:new"]


def test_a_thousand_pipelines_are_ticked_each_once(beat_app: Celery, store: Any, declare: Declare) -> None:
    """In one look; none is left over, and each has its place for the next day."""
    # Far from now: none comes due while the test looks.
    daily = cron(f"0 {(datetime.now(UTC).hour + 12) % 24} * * *")
    declare(f"""
all = [
    Pipeline(f"p{{number}}", schedule=cron("{daily.expression}"), jitter=timedelta(minutes=59), steps=[step])
    for number in range(1000)
]
""")
    names = [f"p{number}" for number in range(1000)]
    beat = Beat(beat_app, store)
    beat.ran(*names, ago=48 * HOUR)

    assert sorted(beat.tick()) == sorted(names)
    assert beat.tick() == []

    slot = daily.slot_after(datetime.now(UTC))
    assert slot is not None
    for name in names:
        beat.assert_due(name, slot + offset(name, timedelta(minutes=59)))
