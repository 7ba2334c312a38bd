"""Beat's entries: which there are, what each sends, and no pipeline in another's way."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab, schedule
from hypothesis import given
from hypothesis import strategies as st

from batchord.catalog import Catalog
from batchord.core.calendar.schedules import Every, Once, Rrule, cron, every
from batchord.core.run.messages import VERSION
from batchord.settings import Settings
from beat.schedule import entries, fires, offset

Scheduled = Callable[[str], dict[str, Any]]

#: Entries that need no pipeline.
_ALWAYS = {"sweep", "watch", "audit", "prune"}

_HEAD = """
from datetime import UTC, datetime, timedelta
from batchord import Pipeline, SqlSource, after_pipeline, cron, every, once, rrule

source = SqlSource("SELECT id FROM reviews", key="id")
"""


def _catalog(folder: Path, *schedules: str) -> Catalog:
    """Pipelines p0, p1, … with these schedules, in a file each."""
    for number, text in enumerate(schedules):
        pipeline = f'pipeline = Pipeline("p{number}", schedule={text}, source=source, model=len)\n'
        (folder / f"p{number}.py").write_text(_HEAD + pipeline, encoding="utf-8")
    return Catalog(folder)


def _entries_of(folder: Path, *schedules: str) -> dict[str, dict[str, Any]]:
    return entries(_catalog(folder, *schedules), Settings(sweep_seconds=7, watch_seconds=90))


@pytest.fixture
def scheduled(tmp_path: Path) -> Scheduled:
    """The entry of a pipeline with this schedule."""
    return lambda text: _entries_of(tmp_path, text)["pipeline:p0"]


@pytest.mark.parametrize(
    "text",
    [
        "every(seconds=10)",
        "every(days=7)",
        "cron('0 3 * * *', 'Europe/Berlin')",
        "once(datetime(2030, 1, 1, tzinfo=UTC))",
        "rrule('FREQ=WEEKLY;BYDAY=WE')",
        "None",
    ],
)
def test_a_tick_names_its_pipeline_and_no_slot(scheduled: Scheduled, text: str) -> None:
    """The worker computes the slot. A tick that was not read for an hour expires; the watch opens the run."""
    entry = scheduled(text)

    assert entry["task"] == "batchord.start_run"
    assert entry["kwargs"] == {"pipeline": "p0", "trigger": "schedule", "version": VERSION}
    assert entry["options"] == {"queue": "control", "ignore_result": True, "expires": 3600}


def test_the_sweeper_runs_often_and_never_piles_up(tmp_path: Path) -> None:
    """It also runs without any pipeline. A sweep message that was not read in time is dropped."""
    sweep = _entries_of(tmp_path)["sweep"]

    assert sweep["task"] == "batchord.sweep"
    assert sweep["schedule"] == schedule(7)
    assert sweep["options"] == {"queue": "control", "expires": 60}, "machines' clocks differ"


def test_the_watch_looks_at_ticks_and_objectives(tmp_path: Path) -> None:
    """As often as the settings say."""
    watch = _entries_of(tmp_path)["watch"]

    assert watch["task"] == "batchord.watch"
    assert watch["schedule"] == schedule(90)
    assert watch["options"] == {"queue": "control", "expires": 90}


@pytest.mark.parametrize(
    ("name", "task", "minute", "hour"), [("audit", "batchord.audit", "17", "4"), ("prune", "batchord.prune", "47", "3")]
)
def test_audit_and_pruning_come_once_a_day(tmp_path: Path, name: str, task: str, minute: str, hour: str) -> None:
    """At night. A message that was not read within the hour is dropped; the next comes a day later."""
    daily = _entries_of(tmp_path)[name]

    assert daily["task"] == task
    assert daily["schedule"] == crontab(minute=minute, hour=hour)
    assert daily["options"] == {"queue": "control", "expires": 3600}


def test_a_pipeline_without_a_schedule_has_an_entry_that_never_fires(tmp_path: Path) -> None:
    """A person may schedule it at run time."""
    catalog = _catalog(tmp_path, "None", "every(minutes=5)")

    assert set(entries(catalog, Settings())) == {*_ALWAYS, "pipeline:p0", "pipeline:p1"}
    assert fires(catalog, {})["pipeline:p0"].schedule is None


def test_a_pipeline_that_follows_another_has_no_entry(tmp_path: Path) -> None:
    """The end of the other pipeline starts it, not a time, and a schedule switch cannot change that."""
    catalog = _catalog(tmp_path, "every(minutes=5)", "after_pipeline('p0')")

    assert set(entries(catalog, Settings())) == {*_ALWAYS, "pipeline:p0"}
    assert set(fires(catalog, {"p1": {"schedule": {"every": 60.0}}})) == {"pipeline:p0"}


def test_a_bad_pipeline_does_not_hide_others(tmp_path: Path) -> None:
    """Broken files and schedules that cannot be read leave the rest on time."""
    (tmp_path / "a_broken.py").write_text("import no_such_module_here", encoding="utf-8")

    found = _entries_of(tmp_path, "cron('whenever')", "every()", "every(hours=1)", "cron('0 0 L * *')")

    assert set(found) == {*_ALWAYS, "pipeline:p2", "pipeline:p3"}


def test_a_switch_goes_before_the_file(tmp_path: Path) -> None:
    """Paused, scheduled differently, or both; the others are as their files say, unknown names do no harm."""
    catalog = _catalog(tmp_path, *["every(hours=1)"] * 4, "None")
    switched: dict[str, dict[str, Any]] = {
        "p1": {"paused": True},
        "p2": {"schedule": cron("5 4 * * *", "Asia/Kolkata").to_json()},
        "p3": {"paused": True, "schedule": {"every": 60}},
        "p4": {"paused": False, "schedule": {"every": 60}},
        "gone": {"paused": True},
    }

    found = {name: (each.schedule, each.paused) for name, each in fires(catalog, switched).items()}

    assert found == {
        "pipeline:p0": (every(hours=1), False),
        "pipeline:p1": (every(hours=1), True),
        "pipeline:p2": (cron("5 4 * * *", "Asia/Kolkata"), False),
        "pipeline:p3": (every(minutes=1), True),
        "pipeline:p4": (every(minutes=1), False),
    }


def test_each_pipeline_ticks_by_its_own_schedule(tmp_path: Path) -> None:
    """Of whatever kind, as the file has it."""
    texts = ("every(minutes=1)", "cron('* * * * *')", "once(datetime(2030, 1, 1, tzinfo=UTC))", "rrule('FREQ=DAILY')")

    found = fires(_catalog(tmp_path, *texts), {})

    assert [type(each.schedule) for each in found.values()] == [Every, type(cron("* * * * *")), Once, Rrule]


@given(name=st.text(min_size=1, max_size=63), seconds=st.integers(0, 10**6))
def test_jitter_is_bounded_and_the_pipelines_own(name: str, seconds: int) -> None:
    """The same at each start of beat, on each machine."""
    jitter = timedelta(seconds=seconds)

    assert timedelta(0) <= offset(name, jitter) <= jitter
    assert offset(name, jitter) == offset(name, jitter)


def test_jitter_spreads_many_pipelines_evenly() -> None:
    """A thousand pipelines of one schedule: about as many in each tenth of it."""
    tenths = [int(offset(f"pipeline-{number}", timedelta(minutes=10)) / timedelta(minutes=1)) for number in range(1000)]

    assert all(60 <= tenths.count(tenth) <= 140 for tenth in range(10))
