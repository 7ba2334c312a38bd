"""Beat's entries: a tick for every slot, in every time zone, and no pipeline in another's way."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab, schedule
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.catalog import Catalog
from app.core.schedules import Cron
from app.settings import Settings
from beat.schedule import entries

Scheduled = Callable[[str], dict[str, Any]]

#: Entries that need no pipeline.
_ALWAYS = {"sweep", "audit"}

_HEAD = """
from datetime import datetime
from app import Pipeline, SqlSource, cron, every

source = SqlSource("SELECT id FROM reviews", key="id")
"""


def _entries_of(folder: Path, *schedules: str) -> dict[str, dict[str, Any]]:
    """Entries for pipelines p0, p1, … with these schedules, in a file each."""
    for number, text in enumerate(schedules):
        pipeline = f'pipeline = Pipeline("p{number}", schedule={text}, source=source, model=len)\n'
        (folder / f"p{number}.py").write_text(_HEAD + pipeline, encoding="utf-8")
    return entries(Catalog(folder), Settings(sweep_seconds=7))


@pytest.fixture
def scheduled(tmp_path: Path) -> Scheduled:
    """The entry of a pipeline with this schedule."""
    return lambda text: _entries_of(tmp_path, text)["pipeline:p0"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """An empty folder at each call, also within one test."""
    return lambda: tmp_path_factory.mktemp("pipelines")


def test_a_tick_starts_the_pipeline_by_its_schedule(scheduled: Scheduled) -> None:
    """It carries no slot: whoever receives it computes that."""
    entry = scheduled("every(minutes=10)")

    assert entry["task"] == "batchord.start_run"
    assert entry["kwargs"] == {"pipeline": "p0", "trigger": "schedule"}
    assert entry["options"]["queue"] == "control"


def test_the_sweeper_runs_often_and_never_piles_up(tmp_path: Path) -> None:
    """Also where there is no pipeline at all; one that nobody read in time is dropped."""
    sweep = _entries_of(tmp_path)["sweep"]

    assert sweep["task"] == "batchord.sweep"
    assert sweep["schedule"] == schedule(7)
    assert sweep["options"] == {"queue": "control", "expires": 60}, "machines' clocks differ"


def test_the_audit_runs_once_a_day(tmp_path: Path) -> None:
    """At night; one that nobody read within the hour waits for the next day."""
    daily = _entries_of(tmp_path)["audit"]

    assert daily["task"] == "batchord.audit"
    assert daily["schedule"] == crontab(minute="17", hour="4")
    assert daily["options"] == {"queue": "control", "expires": 3600}


def test_a_pipeline_without_a_schedule_has_no_entry(tmp_path: Path) -> None:
    """It runs by hand only."""
    assert set(_entries_of(tmp_path, "None", "every(minutes=5)")) == {*_ALWAYS, "pipeline:p1"}


def test_a_bad_pipeline_does_not_hide_others(tmp_path: Path) -> None:
    """Broken files and schedules that cannot be read leave the rest on time."""
    (tmp_path / "a_broken.py").write_text("import no_such_module_here", encoding="utf-8")

    found = _entries_of(tmp_path, "cron('whenever')", "every()", "every(hours=1)", "cron('0 0 L * *')")

    assert set(found) == {*_ALWAYS, "pipeline:p2", "pipeline:p3"}


@pytest.mark.parametrize(
    ("text", "minute", "hour"),
    [
        ("every(minutes=1)", "*/1", "*"),
        ("every(minutes=15)", "*/15", "*"),
        ("every(hours=1)", "*/60", "*"),
        ("every(hours=6)", "0", "*/6"),
        ("every(days=1)", "0", "*/24"),
        ("every(seconds=120)", "*/2", "*"),
    ],
)
def test_an_interval_that_divides_the_hour_or_the_day_ticks_at_its_slots(
    scheduled: Scheduled, text: str, minute: str, hour: str
) -> None:
    """Not an interval after the start of beat."""
    assert scheduled(text)["schedule"] == crontab(minute=minute, hour=hour)


@pytest.mark.parametrize(
    ("text", "seconds"), [("every(seconds=10)", 60), ("every(minutes=5)", 300), ("every(days=7)", 604_800)]
)
def test_a_tick_that_nobody_read_gives_way_to_the_next(scheduled: Scheduled, text: str, seconds: float) -> None:
    """After a night without workers a pipeline is not started a hundred times; short ones get a minute."""
    assert scheduled(text)["options"]["expires"] == seconds


def test_a_cron_tick_never_expires(scheduled: Scheduled) -> None:
    """The nightly run of a night without workers starts in the morning."""
    assert "expires" not in scheduled("cron('0 3 * * *')")["options"]


def test_a_cron_expression_in_utc_is_celerys_own(scheduled: Scheduled) -> None:
    """Field by field."""
    assert scheduled("cron('5 4 1-7 */2 *')")["schedule"] == crontab(
        minute="5", hour="4", day_of_month="1-7", month_of_year="*/2"
    )


@pytest.mark.parametrize(
    ("zone", "entry"),
    [
        ("Europe/Berlin", crontab(minute="30")),
        ("America/Sao_Paulo", crontab(minute="30")),
        ("Asia/Kolkata", crontab()),
        ("Australia/Lord_Howe", crontab()),
    ],
)
def test_another_time_zone_ticks_whenever_the_slot_might_be_due(
    scheduled: Scheduled, zone: str, entry: crontab
) -> None:
    """Each hour where the zone is whole hours away all year, else each minute."""
    assert scheduled(f"cron('30 9 * * *', '{zone}')")["schedule"] == entry


def _fires(when: crontab, at: datetime) -> bool:
    return (
        at.minute in when.minute
        and at.hour in when.hour
        and at.day in when.day_of_month
        and at.month in when.month_of_year
        and at.isoweekday() % 7 in when.day_of_week
    )


def _fields(low: int, high: int, *words: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ends = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.lists(number, min_size=2, max_size=3, unique=True).map(lambda found: ",".join(map(str, found))),
        ends.map(lambda found: f"{found[0]}-{found[1]}"),
        st.tuples(ends, st.integers(1, 9)).map(lambda found: f"{found[0][0]}-{found[0][1]}/{found[1]}"),
        st.integers(2, 9).map(lambda step: f"*/{step}"),
        *map(st.just, words),
    )


_EXPRESSIONS = st.tuples(
    _fields(0, 59),
    _fields(0, 23),
    _fields(1, 28, "L"),
    _fields(1, 12, "jan", "FEB"),
    _fields(0, 7, "sun", "MON-FRI", "MON#1"),
).map(" ".join)


@settings(max_examples=60)
@given(
    expression=_EXPRESSIONS,
    zone=st.sampled_from(["UTC", "UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- made aware
)
@example(expression="0 0 13 * 5", zone="UTC", start=datetime(2026, 2, 28, tzinfo=UTC))
@example(expression="0 0 * * 7", zone="UTC", start=datetime(2026, 2, 28, tzinfo=UTC))
@example(expression="0 0 L * *", zone="UTC", start=datetime(2026, 2, 28, tzinfo=UTC))
@example(expression="30 2 * * *", zone="Europe/Berlin", start=datetime(2026, 3, 29, 12, tzinfo=UTC))
@example(expression="30 2 * * *", zone="Europe/Berlin", start=datetime(2026, 10, 25, 12, tzinfo=UTC))
def test_every_slot_of_a_cron_expression_has_a_tick_within_the_hour(
    folders: Callable[[], Path], expression: str, zone: str, start: datetime
) -> None:
    """And before the slot after it: beat may tick too often, never too seldom."""
    when = _entries_of(folders(), f"cron({expression!r}, {zone!r})")["pipeline:p0"]["schedule"]
    cron = Cron(expression, zone)
    slots = [cron.slot_at(start)]
    for _ in range(8):
        slots.append(cron.slot_before(slots[-1]))

    for following, slot in pairwise(slots):
        end = min(following, slot + timedelta(hours=1))
        minutes = [slot + timedelta(minutes=minute) for minute in range(int((end - slot) / timedelta(minutes=1)))]
        assert any(_fires(when, minute) for minute in minutes), f"no tick for the slot {slot}"


@settings(max_examples=40)
@given(
    seconds=st.one_of(
        st.integers(2, 300), st.integers(1, 300).map(lambda minutes: 60 * minutes), st.integers(3600, 10**6)
    ),
    lag=st.floats(0, 0.9),
    begun=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- made aware
)
def test_every_slot_of_an_interval_has_a_tick(
    folders: Callable[[], Path], seconds: int, lag: float, begun: datetime
) -> None:
    """Although each tick is a moment late, and the moments must not add up until a slot is passed over."""
    when = _entries_of(folders(), f"every(seconds={seconds})")["pipeline:p0"]["schedule"]
    every = timedelta(seconds=seconds)
    ticks = [begun]
    when.nowfun = lambda: ticks[-1]
    while ticks[-1] < begun + 60 * every and len(ticks) < 400:
        ticks.append(ticks[-1] + max(when.remaining_estimate(ticks[-1]), timedelta(0)) + timedelta(seconds=lag))

    for tick, following in pairwise(ticks):
        assert following - tick <= every + timedelta(seconds=lag)
    slots = [(tick - datetime(2000, 1, 1, tzinfo=UTC)) // every for tick in ticks]
    assert all(later - slot <= 1 for slot, later in pairwise(slots)), "a slot was passed over"
