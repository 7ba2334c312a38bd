"""A tick for every slot, at its time, in every time zone; none twice, however late they are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from celery import Celery
from celery.schedules import schedule
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from batchord.core.calendar.schedules import Cron, Every, Once, Rrule, Schedule, slots_between
from beat.schedule import Fires, PipelineEntry

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NAME = "pipeline:p"
_MOST_SLOTS = 25


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    """An app whose Redis is never asked."""
    with Celery(set_as_current=False) as app:
        app.conf.redbeat_redis_url = "redis://127.0.0.1:1/0"
        yield app


@pytest.fixture(autouse=True)
def _own_fires() -> Iterator[None]:
    """What a test says of entries must reach no other."""
    before = PipelineEntry.fires
    yield
    PipelineEntry.fires = before


class SimulatedBeat:
    """Asks one entry whether it is due as RedBeat does, by a clock of its own."""

    def __init__(self, app: Celery, fires: Fires, now: datetime, *, last: datetime | None) -> None:
        self.now = now
        self.ticks: list[datetime] = []
        PipelineEntry.fires = {NAME: fires}
        self.entry = PipelineEntry(NAME, "t", schedule(60, nowfun=lambda: self.now, app=app), app=app)
        self.entry.last_run_at = last

    def ask(self) -> float:
        """One look at the entry, which ticks if it is due; returns the seconds until the next look."""
        due_at = self.entry.due_at
        is_due, seconds = self.entry.is_due()
        assert is_due == (due_at is not None and due_at <= self.now), "order and entry agree"
        assert seconds > 0
        if is_due:
            self.ticks.append(self.now)
            self.entry.last_run_at = self.now
        return float(seconds)

    def run(self, until: datetime, lag: timedelta) -> list[datetime]:
        """Looks until then, each time so much later than it should; returns the moments of all ticks."""
        while self.now <= until:
            self.now += timedelta(seconds=self.ask()) + lag
        return self.ticks


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
_ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe"])
_RULES = st.sampled_from(
    [
        "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18",
        "FREQ=WEEKLY;BYDAY=WE;BYHOUR=2;BYMINUTE=30",
        "FREQ=DAILY;INTERVAL=3",
        "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=15,45",
        "FREQ=DAILY;COUNT=9800",
    ]
)
_MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- made aware
_SCHEDULES: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(Every, st.one_of(st.integers(2, 300), st.integers(3600, 10**6)).map(lambda number: number * SECOND)),
    st.builds(Every, st.timedeltas(2 * SECOND, timedelta(days=30))),
    st.builds(Cron, _EXPRESSIONS, _ZONES),
    st.builds(lambda rule, zone: Rrule(rule, time_zone=zone), _RULES, _ZONES),
    st.builds(Once, _MOMENTS),
)


@settings(max_examples=150)
@given(
    when=_SCHEDULES,
    offset=st.one_of(st.just(timedelta(0)), st.timedeltas(timedelta(0), timedelta(hours=3))),
    begun=_MOMENTS,
    lag=st.timedeltas(timedelta(0), SECOND),
)
@example(Cron("0 0 13 * 5"), timedelta(0), datetime(2026, 2, 1, tzinfo=UTC), SECOND)
@example(Cron("0 0 * * 7"), timedelta(0), datetime(2026, 2, 1, tzinfo=UTC), SECOND)
@example(Cron("0 0 L * *"), timedelta(0), datetime(2026, 2, 1, tzinfo=UTC), SECOND)
@example(Cron("30 2 * * *", "Europe/Berlin"), timedelta(minutes=7), datetime(2026, 3, 27, 12, tzinfo=UTC), SECOND)
@example(Cron("30 2 * * *", "Europe/Berlin"), timedelta(minutes=7), datetime(2026, 10, 23, 12, tzinfo=UTC), SECOND)
def test_every_slot_has_one_tick_within_a_second(
    app: Celery, when: Schedule, offset: timedelta, begun: datetime, lag: timedelta
) -> None:
    """After its offset, whatever the schedule's kind; lags of each tick do not add up."""
    slots = slots_between(when, begun - offset, begun + timedelta(days=400), _MOST_SLOTS)
    due = [slot + offset for slot in slots]
    assume(all(later - sooner > SECOND for sooner, later in pairwise(due)))
    beat = SimulatedBeat(app, Fires(schedule=when, offset=offset), begun, last=begun)

    ticks = beat.run((due[-1] if due else begun + timedelta(days=1)) + lag, lag)

    assert len(ticks) == len(due)
    assert all(timedelta(0) <= tick - moment <= SECOND for tick, moment in zip(ticks, due, strict=True))


@settings(max_examples=60)
@given(
    when=_SCHEDULES,
    offset=st.timedeltas(timedelta(0), timedelta(hours=3)),
    looks=st.lists(st.timedeltas(SECOND / 100, timedelta(days=3)), min_size=1, max_size=30),
)
def test_a_tick_that_comes_late_stands_for_all_that_passed(
    app: Celery, when: Schedule, offset: timedelta, looks: list[timedelta]
) -> None:
    """Whenever beat looks: it ticks once if any slot has come due since the last tick, and not otherwise."""
    beat = SimulatedBeat(app, Fires(schedule=when, offset=offset), START, last=START)
    last = START

    for wait in looks:
        beat.now += wait
        passed = bool(slots_between(when, last - offset, beat.now - offset, 1))
        before = len(beat.ticks)
        beat.ask()
        assert (len(beat.ticks) - before) == passed
        last = beat.now if passed else last


@given(when=_SCHEDULES, begun=_MOMENTS)
def test_without_a_last_tick_the_newest_slot_is_due_at_once(app: Celery, when: Schedule, begun: datetime) -> None:
    """If there was any; it is ticked once."""
    beat = SimulatedBeat(app, Fires(schedule=when), begun, last=None)

    for _ in range(2):
        beat.ask()

    assert beat.ticks == ([] if when.slot_at(begun) is None else [begun])


@given(when=_SCHEDULES, begun=_MOMENTS, length=st.timedeltas(SECOND, timedelta(days=100)))
def test_a_paused_pipeline_is_not_ticked_and_at_most_once_for_what_passed(
    app: Celery, when: Schedule, begun: datetime, length: timedelta
) -> None:
    """On resumption one tick stands for all slots of the pause, if there were any."""
    beat = SimulatedBeat(app, Fires(schedule=when, paused=True), begun, last=begun)
    assert beat.entry.due_at is None
    beat.run(begun + length, SECOND)
    assert beat.ticks == []

    PipelineEntry.fires = {NAME: Fires(schedule=when)}
    passed = bool(slots_between(when, begun, beat.now, 1))
    for _ in range(2):
        beat.ask()

    assert len(beat.ticks) == passed


@pytest.mark.parametrize(
    "fires",
    [
        Fires(schedule=None),
        Fires(schedule=None, paused=True),
        Fires(schedule=Once(START - timedelta(days=1))),
        Fires(schedule=Rrule("FREQ=DAILY;COUNT=3", start=datetime(2026, 1, 1, tzinfo=UTC))),
    ],
)
def test_what_has_no_slot_left_is_never_due(app: Celery, fires: Fires) -> None:
    """Without a schedule, or when all of it lies before the last tick; a switch is seen all the same, at any tick."""
    beat = SimulatedBeat(app, fires, START, last=START)

    assert beat.run(START + timedelta(days=3), SECOND) == []
    assert beat.entry.due_at is None
    assert beat.entry.score == -1, "which RedBeat passes over"


def test_once_is_never_due_again(app: Celery) -> None:
    """It fires at its time, and that is that."""
    at = START + timedelta(hours=5)
    beat = SimulatedBeat(app, Fires(schedule=Once(at)), START, last=START)

    assert beat.run(START + timedelta(days=3), timedelta(0)) == [at]
    assert beat.entry.due_at is None


def test_an_entry_of_the_upkeep_keeps_celerys_own_time(app: Celery) -> None:
    """Only those of pipelines ask a pipeline's schedule."""
    PipelineEntry.fires = {}
    entry = PipelineEntry("sweep", "t", schedule(10, nowfun=lambda: START, app=app), app=app)

    entry.last_run_at = START - timedelta(seconds=4)
    waiting: Any = entry.is_due()
    entry.last_run_at = START - timedelta(seconds=11)
    due: Any = entry.is_due()

    assert (waiting.is_due, waiting.next) == (False, pytest.approx(6))
    assert due.is_due
