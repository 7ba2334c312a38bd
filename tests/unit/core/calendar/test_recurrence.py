"""Recurrence rules: as RFC 5545 has them, quickly, and on the days on which clocks change."""

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import dateutil.rrule
import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from batchord.core.calendar import recurrence
from batchord.core.calendar.schedules import rrule, slots_between

_BERLIN = "Europe/Berlin"
_ZONES = ["UTC", _BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]


def _local(*fields: int) -> datetime:
    return datetime(*fields)  # type: ignore[arg-type, misc]  # noqa: DTZ001 -- a wall time


def _clock(text: str, zone: str, day: str, days: int = 1, **options: datetime) -> list[str]:
    """What clocks in a zone show at the fire times of some local days."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = start + timedelta(days=days)
    slots = slots_between(rrule(text, time_zone=zone, **options), start - timedelta(microseconds=1), end, 1000)
    return [slot.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %z") for slot in slots]


@st.composite
def _rules(draw: st.DrawFn) -> tuple[str, datetime, str]:
    frequency = draw(st.sampled_from(["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    zone = draw(st.sampled_from(_ZONES))
    parts = [f"FREQ={frequency}"]
    if frequency != "HOURLY" or zone == "UTC":
        parts.append(f"INTERVAL={draw(st.integers(1, 7))}")
    choices = {
        "BYHOUR": ["2", "9", "1,2,3", "0,23"],
        "BYMINUTE": ["0", "30", "5,50"],
        "BYDAY": ["MO", "SU,WE", "MO,TU,WE,TH,FR"],
        "BYMONTH": ["1", "3,10,11", "2"],
        "WKST": ["SU"],
    }
    if frequency in ("MONTHLY", "YEARLY"):
        choices |= {"BYMONTHDAY": ["1", "-1", "31", "13,29"], "BYSETPOS": ["1", "-1"]}
    if frequency == "YEARLY":
        choices |= {"BYWEEKNO": ["1", "53", "20"], "BYYEARDAY": ["1", "-1", "60"]}
    if frequency == "HOURLY":
        del choices["BYHOUR"]  # with INTERVAL it may be a contradiction, which has a test of its own
    names = draw(st.lists(st.sampled_from(sorted(choices)), max_size=3, unique=True))
    parts += [f"{name}={draw(st.sampled_from(choices[name]))}" for name in names]
    start = draw(st.datetimes(_local(2019, 1, 1), _local(2025, 1, 1))).replace(second=0, microsecond=0)
    return ";".join(parts), start, zone


def _naive(text: str, start: datetime, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """From the start of the rule on, one by one, as dateutil has them; only the clocks are ours."""
    end = until.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(days=2)
    found = set()
    for wall in takewhile(lambda each: each < end, rrulestr(text, dtstart=start)):
        local = wall.replace(tzinfo=ZoneInfo(zone))
        readings = {local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)}
        if "HOURLY" not in text:
            readings = {local.astimezone(UTC)}
        elif local.astimezone(UTC) > local.replace(fold=1).astimezone(UTC):
            readings = set()
        found |= readings
    return [each for each in sorted(found) if after < each <= until]


@settings(max_examples=120, deadline=None)
@given(_rules(), st.datetimes(_local(2018, 1, 1), _local(2031, 1, 1), timezones=st.just(UTC)), st.integers(1, 600))
def test_a_rule_fires_as_if_it_were_counted_from_its_start(
    drawn: tuple[str, datetime, str], after: datetime, days: int
) -> None:
    """Moving the start forward changes nothing, in either direction."""
    text, start, zone = drawn
    schedule = rrule(text, start=start, time_zone=zone)
    until = min(after + timedelta(days=days), datetime(2031, 1, 1, tzinfo=UTC))
    if schedule.problems() == [f"rrule({text!r}) never fires"]:
        assert _naive(text, start, zone, after, until) == []
        return

    slots = slots_between(schedule, after, until, 100)

    expected = _naive(text, start, zone, datetime(2000, 1, 1, tzinfo=UTC), until)
    assert slots == [each for each in expected if each > after][:100]
    assert schedule.slot_at(until) == (expected[-1] if expected else None)
    assert [schedule.slot_before(each) for each in expected[1:20]] == expected[:-1][:19]


@pytest.mark.parametrize(
    ("text", "zone", "day", "clock"),
    [
        ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", _BERLIN, "2026-03-29", ["03:30 +0200"]),
        ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", _BERLIN, "2026-10-25", ["02:30 +0200"]),
        ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "America/New_York", "2026-03-08", ["03:30 -0400"]),
        ("FREQ=DAILY;BYHOUR=1;BYMINUTE=30", "America/New_York", "2026-11-01", ["01:30 -0400"]),
        ("FREQ=DAILY;BYHOUR=2;BYMINUTE=15", "Australia/Lord_Howe", "2026-10-04", ["02:45 +1100"]),
        ("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30", _BERLIN, "2026-03-29", ["03:00 +0200", "03:30 +0200"]),
        ("FREQ=HOURLY;BYHOUR=2", _BERLIN, "2026-10-25", ["02:00 +0200"]),
    ],
)
def test_a_time_of_day_runs_once_when_clocks_change(text: str, zone: str, day: str, clock: list[str]) -> None:
    """Moved on by the gap when clocks leave it out, at the first when they show it twice."""
    assert _clock(text, zone, day) == [f"{day} {each}" for each in clock]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-22", 24)])
def test_every_hour_is_every_real_hour(day: str, hours: int) -> None:
    """FREQ=HOURLY in a time zone neither drops nor repeats an hour."""
    found = _clock("FREQ=HOURLY", _BERLIN, day)

    assert len(set(found)) == len(found) == hours + 1  # the midnight at the end belongs to the span


def test_a_weekly_rule_counts_from_a_monday() -> None:
    """Every other Monday is fixed without a start, and a rule without a day falls on it."""
    assert _clock("RRULE:FREQ=WEEKLY;INTERVAL=2", "UTC", "2000-01-01", 30) == [
        "2000-01-03 00:00 +0000",
        "2000-01-17 00:00 +0000",
        "2000-01-31 00:00 +0000",
    ]


def test_a_start_in_another_zone_is_converted() -> None:
    """Nine in Berlin is three in New York, and the rule goes on by New York's clocks."""
    start = datetime(2026, 1, 5, 9, tzinfo=ZoneInfo(_BERLIN))

    found = _clock("FREQ=MONTHLY;COUNT=3", "America/New_York", "2026-01-01", 365, start=start)

    assert found == ["2026-01-05 03:00 -0500", "2026-02-05 03:00 -0500", "2026-03-05 03:00 -0500"]


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20260330T000000Z", "2026-03-29 09:00 +0200"),
        ("20260329T070000Z", "2026-03-29 09:00 +0200"),
        ("20260329T065959Z", "2026-03-28 09:00 +0100"),
        ("20260329T090000", "2026-03-29 09:00 +0200"),
        ("20260329T085959", "2026-03-28 09:00 +0100"),
    ],
)
def test_until_belongs_to_the_rule(until: str, last: str) -> None:
    """With Z it is UTC, without it is wall time; the moment itself is the last that may fire."""
    text = f"FREQ=DAILY;BYHOUR=9;UNTIL={until}"
    schedule = rrule(text, time_zone=_BERLIN)

    assert _clock(text, _BERLIN, "2026-03-20", 30)[-1] == last
    assert schedule.slot_at(datetime(2030, 1, 1, tzinfo=UTC)) == schedule.slot_before(datetime(2030, 1, 1, tzinfo=UTC))
    assert schedule.slot_after(datetime(2030, 1, 1, tzinfo=UTC)) is None


def test_until_may_be_a_time_that_clocks_leave_out() -> None:
    """It ends the rule no sooner than the wall time that was moved on from there."""
    found = _clock("FREQ=DAILY;BYHOUR=2;BYMINUTE=30;UNTIL=20260329T023000", _BERLIN, "2026-03-28", 5)

    assert found == ["2026-03-28 02:30 +0100", "2026-03-29 03:30 +0200"]


@pytest.mark.parametrize("text", ["FREQ=DAILY;COUNT=5", "FREQ=HOURLY;COUNT=5", "FREQ=DAILY;BYHOUR=1,2;COUNT=5"])
@pytest.mark.parametrize("start", [_local(2026, 3, 29, 0, 30), _local(2026, 10, 25, 0, 30), _local(2026, 6, 1)])
def test_a_counted_rule_fires_so_often(text: str, start: datetime) -> None:
    """Counted from its start, also when clocks change in between; then never again."""
    schedule = rrule(text, start=start, time_zone=_BERLIN)
    early, late = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)

    slots = slots_between(schedule, early, late, 100)

    assert len(slots) == 5
    assert schedule.slot_at(early) is None
    assert schedule.slot_before(slots[0]) is None
    assert schedule.slot_at(late) == slots[-1]
    assert schedule.slot_after(slots[-1]) is None


def test_the_process_may_count_weeks_from_another_day() -> None:
    """The library asks the calendar module; RFC 5545 says Monday."""
    expected = _clock("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO", "UTC", "2026-01-01", 60)
    calendar.setfirstweekday(calendar.SUNDAY)
    try:
        found = _clock("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO", "UTC", "2026-01-01", 60)
    finally:
        calendar.setfirstweekday(calendar.MONDAY)

    assert found == expected


def test_the_position_in_a_week_is_that_in_the_whole_week() -> None:
    """A rule that starts on a Wednesday does not take Friday for the first day of its first week."""
    found = _clock("FREQ=WEEKLY;BYDAY=MO,FR;BYSETPOS=1", "UTC", "2026-01-05", 10, start=_local(2026, 1, 7))

    assert found == ["2026-01-12 00:00 +0000"]


@pytest.mark.parametrize("text", ["FREQ=HOURLY;BYMINUTE=0,20,40", "FREQ=DAILY;BYHOUR=9", "FREQ=WEEKLY;INTERVAL=3"])
def test_an_old_start_costs_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a few wall times are enumerated, however many have passed."""
    enumerated = []
    plain = recurrence._until_year_10000  # noqa: SLF001 -- all wall times pass here

    def counted(rule: dateutil.rrule.rrule) -> Iterator[datetime]:
        for wall in plain(rule):
            enumerated.append(wall)
            yield wall

    monkeypatch.setattr(recurrence, "_until_year_10000", counted)
    schedule = rrule(text, start=_local(1900, 1, 1))
    now = datetime(2026, 11, 22, 14, 19, 59, tzinfo=UTC)

    slot = schedule.slot_at(now)
    assert slot is not None
    schedule.slot_before(slot)
    schedule.slot_after(now)

    assert 0 < len(enumerated) < 30


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0",
        "rrule:freq=monthly;byday=-1fr",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=HOURLY",
        "FREQ=DAILY;COUNT=10000",
        "FREQ=DAILY;UNTIL=20301231T235959Z",
    ],
)
def test_a_sound_rule_has_no_problems(text: str) -> None:
    """Nothing to mend."""
    assert rrule(text, start=_local(2026, 1, 1), time_zone=_BERLIN).problems() == []


@pytest.mark.parametrize(
    ("text", "zone", "said"),
    [
        ("FREQ=MINUTELY;INTERVAL=10", "UTC", "use every(minutes=...)"),
        ("FREQ=SECONDLY", "UTC", "use every(seconds=...)"),
        ("FREQ=FORTNIGHTLY", "UTC", "FREQ must be one of HOURLY, DAILY"),
        ("BYDAY=MO", "UTC", "FREQ must be one of"),
        ("every Monday", "UTC", "'EVERY MONDAY' cannot be part of a rule"),
        ("", "UTC", "cannot be part of a rule"),
        ("FREQ=DAILY;BYEASTER=1", "UTC", "'BYEASTER=1' cannot be part of a rule"),
        ("FREQ=DAILY\nEXDATE:20260101T000000", "UTC", "must be one of"),
        ("FREQ=DAILY;FREQ=WEEKLY", "UTC", "FREQ is given twice"),
        ("FREQ=DAILY;COUNT=10001", "UTC", "COUNT=10001 must be a whole number from 1 to 10000"),
        ("FREQ=DAILY;COUNT=0", "UTC", "COUNT=0"),
        ("FREQ=DAILY;INTERVAL=0", "UTC", "INTERVAL=0"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20300101T000000Z", "UTC", "both COUNT and UNTIL"),
        ("FREQ=DAILY;UNTIL=20300101", "UTC", "needs a time"),
        ("FREQ=DAILY;UNTIL=20301301T000000", "UTC", "rrule('FREQ=DAILY;UNTIL=20301301T000000')"),
        ("FREQ=DAILY;UNTIL=20250101T000000", "UTC", "never fires"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "UTC", "never fires"),
        ("FREQ=DAILY;BYMONTH=13", "UTC", "BYMONTH=13 must be a whole number from 1 to 12"),
        ("FREQ=DAILY;BYHOUR=24", "UTC", "BYHOUR=24"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "UTC", "BYMONTHDAY=0"),
        ("FREQ=WEEKLY;BYDAY=MONDAY", "UTC", "take the days MO, TU"),
        ("FREQ=WEEKLY;BYDAY=1MO", "UTC", "is for FREQ=MONTHLY"),
        ("FREQ=HOURLY;INTERVAL=2", _BERLIN, "uneven when clocks change in Europe/Berlin"),
        ("FREQ=HOURLY;INTERVAL=24;BYHOUR=3", "UTC", "empty set"),
        ("FREQ=DAILY", "Europe/Atlantis", "'Europe/Atlantis' is unknown"),
    ],
)
def test_a_rule_that_cannot_work_says_why(text: str, zone: str, said: str) -> None:
    """Reported when the file is read, not when the first tick is due."""
    (problem,) = rrule(text, start=_local(2026, 1, 1), time_zone=zone).problems()

    assert said in problem
