"""Cron expressions on the days on which clocks change: nothing dropped, nothing twice."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from batchord.core.calendar.schedules import cron, slots_between

_BERLIN, _NEW_YORK, _LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
#: Zone, the day, and how long it is: clocks go forward in spring and back in autumn.
_DAYS = [
    (_BERLIN, date(2026, 3, 29), timedelta(hours=23)),
    (_BERLIN, date(2026, 10, 25), timedelta(hours=25)),
    (_NEW_YORK, date(2026, 3, 8), timedelta(hours=23)),
    (_NEW_YORK, date(2026, 11, 1), timedelta(hours=25)),
    (_LORD_HOWE, date(2026, 10, 4), timedelta(hours=23.5)),
    (_LORD_HOWE, date(2026, 4, 5), timedelta(hours=24.5)),
]


def _day(expression: str, zone: str, day: date) -> list[datetime]:
    """The fire times of a local day, looking ahead; looking back must give the same."""
    schedule = cron(expression, zone)
    midnights = [datetime.combine(each, time(), ZoneInfo(zone)).astimezone(UTC) for each in (day, day + timedelta(1))]
    start, end = (each - timedelta(microseconds=1) for each in midnights)
    slots = slots_between(schedule, start, end, 10_000)
    back, slot = [], schedule.slot_at(end)
    while slot is not None and slot > start:
        back.append(slot)
        slot = schedule.slot_before(slot)
    assert back[::-1] == slots
    return slots


def _clock(slots: list[datetime], zone: str) -> list[str]:
    return [slot.astimezone(ZoneInfo(zone)).strftime("%H:%M %z") for slot in slots]


@pytest.mark.parametrize(
    ("expression", "zone", "day", "clock"),
    [
        ("30 2 * * *", _BERLIN, date(2026, 3, 29), ["03:00 +0200"]),
        ("30 2 * * *", _BERLIN, date(2026, 10, 25), ["02:30 +0200"]),
        ("30 2 * * *", _NEW_YORK, date(2026, 3, 8), ["03:00 -0400"]),
        ("30 2 * * *", _NEW_YORK, date(2026, 11, 1), ["02:30 -0500"]),
        ("30 1 * * *", _NEW_YORK, date(2026, 11, 1), ["01:30 -0400"]),
        ("15 2 * * *", _LORD_HOWE, date(2026, 10, 4), ["02:30 +1100"]),
        ("45 1 * * *", _LORD_HOWE, date(2026, 4, 5), ["01:45 +1100"]),
        ("0 3 * * *", _BERLIN, date(2026, 3, 29), ["03:00 +0200"]),
        ("0 3 * * *", _BERLIN, date(2026, 10, 25), ["03:00 +0100"]),
        ("0 3 * * *", _NEW_YORK, date(2026, 3, 8), ["03:00 -0400"]),
        ("0 3 * * *", _NEW_YORK, date(2026, 11, 1), ["03:00 -0500"]),
        ("15 1-4 * * *", _BERLIN, date(2026, 3, 29), ["01:15 +0100", "03:00 +0200", "03:15 +0200", "04:15 +0200"]),
        ("15 1-4 * * *", _BERLIN, date(2026, 10, 25), ["01:15 +0200", "02:15 +0200", "03:15 +0100", "04:15 +0100"]),
        ("15 1-4 * * *", _NEW_YORK, date(2026, 3, 8), ["01:15 -0500", "03:00 -0400", "03:15 -0400", "04:15 -0400"]),
        ("15 1-4 * * *", _NEW_YORK, date(2026, 11, 1), ["01:15 -0400", "02:15 -0500", "03:15 -0500", "04:15 -0500"]),
        ("15 1-4 * * *", _LORD_HOWE, date(2026, 10, 4), ["01:15 +1030", "02:30 +1100", "03:15 +1100", "04:15 +1100"]),
        ("0,30 2,3 * * *", _BERLIN, date(2026, 3, 29), ["03:00 +0200", "03:30 +0200"]),
        ("*/20 4 * * *", _LORD_HOWE, date(2026, 10, 4), ["04:00 +1100", "04:20 +1100", "04:40 +1100"]),
        ("0 0 * * *", "America/Santiago", date(2026, 9, 6), ["01:00 -0300"]),
    ],
)
def test_a_time_of_day_runs_once(expression: str, zone: str, day: date, clock: list[str]) -> None:
    """Right after the gap when clocks leave it out, at the first when they show it twice."""
    assert _clock(_day(expression, zone, day), zone) == clock


@pytest.mark.parametrize(("zone", "day", "length"), _DAYS)
def test_half_hours_go_on_in_real_time(zone: str, day: date, length: timedelta) -> None:
    """Every real half hour has one run, however long the day is."""
    slots = _day("*/30 * * * *", zone, day)

    assert {later - slot for slot, later in pairwise(slots)} == {timedelta(minutes=30)}
    assert len(slots) == length / timedelta(minutes=30)


@pytest.mark.parametrize(("zone", "day", "length"), _DAYS[:4])
def test_hours_go_on_in_real_time(zone: str, day: date, length: timedelta) -> None:
    """Every real hour has one run where clocks move by an hour."""
    slots = _day("0 * * * *", zone, day)

    assert {later - slot for slot, later in pairwise(slots)} == {timedelta(hours=1)}
    assert len(slots) == length / timedelta(hours=1)


@pytest.mark.parametrize(("day", "skewed"), [(date(2026, 10, 4), 1.5), (date(2026, 4, 5), 1.5)])
def test_full_hours_are_those_of_the_clock(day: date, skewed: float) -> None:
    """Where clocks move by half an hour, one pause between full hours is half an hour longer, none is shorter."""
    slots = _day("0 * * * *", _LORD_HOWE, day)

    pauses = [later - slot for slot, later in pairwise(slots)]
    assert sorted(pauses)[:-1] == [timedelta(hours=1)] * (len(pauses) - 1)
    assert max(pauses) == timedelta(hours=skewed)


@pytest.mark.parametrize(
    ("expression", "fold", "slot"),
    [
        ("30 2 * * *", 0, "2026-10-25T00:30:00+00:00"),
        ("30 2 * * *", 1, "2026-10-25T00:30:00+00:00"),
        ("*/30 * * * *", 0, "2026-10-25T00:30:00+00:00"),
        ("*/30 * * * *", 1, "2026-10-25T01:30:00+00:00"),
        ("15 1-4 * * *", 1, "2026-10-25T00:15:00+00:00"),
    ],
)
def test_a_tick_in_the_hour_that_comes_twice_knows_its_pass(expression: str, fold: int, slot: str) -> None:
    """The second quarter to three still stands for what was due in the first hour, if nothing is due in its own."""
    now = datetime(2026, 10, 25, 2, 45, tzinfo=ZoneInfo(_BERLIN), fold=fold)

    assert cron(expression, _BERLIN).slot_at(now) == datetime.fromisoformat(slot)


def test_the_next_fire_time_is_never_in_the_past() -> None:
    """Also when asked in the second pass of the hour that holds it."""
    moment = datetime(2026, 10, 25, 2, 10, tzinfo=ZoneInfo(_BERLIN), fold=1)

    assert cron("30 2 * * *", _BERLIN).slot_after(moment) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_day_that_a_country_leaves_out_still_runs_once() -> None:
    """Samoa had no 30 December 2011: its nightly run falls on the first moment of the 31st."""
    slots = slots_between(
        cron("30 2 * * *", "Pacific/Apia"),
        datetime(2011, 12, 29, tzinfo=UTC),
        datetime(2011, 12, 31, tzinfo=UTC),
        10,
    )

    assert _clock(slots, "Pacific/Apia") == ["02:30 -1000", "00:00 +1400", "02:30 +1400"]
