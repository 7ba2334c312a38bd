"""What all kinds of schedules have in common, and how they are kept as JSON."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchord.core.calendar.schedules import (
    EARLIEST,
    AfterPipeline,
    Cron,
    Every,
    Once,
    Rrule,
    Schedule,
    after_pipeline,
    cron,
    every,
    once,
    rrule,
    schedule_from_json,
    slots_between,
    window_of,
)

_NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Africa/Cairo"]
)
#: Around the changes of the clocks above, and away from them.
_MOMENTS = st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 4, 9, 10, 11)]).flatmap(
    lambda start: st.timedeltas(timedelta(0), timedelta(days=31)).map(lambda past: start + past)
)
_SCHEDULES = st.one_of(
    st.builds(Every, st.timedeltas(timedelta(seconds=1), timedelta(days=40))),
    st.builds(Once, _MOMENTS),
    st.builds(
        Cron,
        st.sampled_from(
            [
                *("30 2 * * *", "*/30 * * * *", "0 * * * *", "0 3 * * *", "15 1-4 * * *", "*/7 * * * *", "0 0 1 * *"),
                *("*/20 4 * * *", "0 */2 * * *", "5 2 * * 0", "0 12 L * *", "0,30 2,3 * * 0,6", "59 1 * * 7#1"),
            ]
        ),
        _ZONES,
    ),
    st.builds(
        Rrule,
        st.sampled_from(
            [
                *(
                    "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
                    "FREQ=HOURLY",
                    "FREQ=HOURLY;BYMINUTE=0,30",
                    "FREQ=DAILY;COUNT=9800",
                ),
                *("FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,15", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;BYHOUR=2", "FREQ=MONTHLY"),
                *("FREQ=DAILY;BYHOUR=2;UNTIL=20261025T023000", "FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=2;BYMINUTE=15"),
            ]
        ),
        time_zone=_ZONES,
    ),
)


@settings(max_examples=400, deadline=None)
@given(_SCHEDULES, _MOMENTS, st.timedeltas(timedelta(0), timedelta(days=4)))
def test_looking_ahead_and_looking_back_agree(schedule: Schedule, start: datetime, span: timedelta) -> None:
    """The same fire times in either direction, and each is its own slot."""
    end = start + span

    ahead = slots_between(schedule, start, end, 200)
    last = ahead[-1] if len(ahead) == 200 else end
    back, slot = [], schedule.slot_at(last)
    while slot is not None and slot > start:
        back.append(slot)
        slot = schedule.slot_before(slot)

    assert back[::-1] == ahead
    for each in ahead:
        assert each.utcoffset() == timedelta(0)
        assert schedule.slot_at(each) == each
        assert schedule.slot_at(each - _TICK) == schedule.slot_before(each)
        before = schedule.slot_before(each)
        assert before is None or schedule.slot_after(before) == each


@settings(deadline=None)
@given(_SCHEDULES, _MOMENTS, _ZONES)
def test_the_zone_of_a_moment_does_not_matter(schedule: Schedule, moment: datetime, zone: str) -> None:
    """This also holds in an hour that comes twice in that zone."""
    local = moment.astimezone(ZoneInfo(zone))

    assert schedule.slot_at(local) == schedule.slot_at(moment)
    assert schedule.slot_before(local) == schedule.slot_before(moment)
    assert schedule.slot_after(local) == schedule.slot_after(moment)


@settings(deadline=None)
@given(_SCHEDULES)
def test_a_schedule_comes_back_from_json(schedule: Schedule) -> None:
    """Equal, and with the same JSON."""
    value = schedule.to_json()

    again = schedule_from_json(value)

    assert again == schedule
    assert again.to_json() == value


@pytest.mark.parametrize(
    ("schedule", "value"),
    [
        (every(minutes=10), {"every": 600.0}),
        (cron("0 9 * * *", "Europe/Berlin"), {"cron": "0 9 * * *", "time_zone": "Europe/Berlin"}),
        (once(_NOON), {"once": "2026-03-29T12:00:00+00:00"}),
        (
            rrule("FREQ=DAILY", start=datetime(2026, 1, 1, 9)),  # noqa: DTZ001 -- a wall time
            {"rrule": "FREQ=DAILY", "start": "2026-01-01T09:00:00", "time_zone": "UTC"},
        ),
        (rrule("FREQ=DAILY"), {"rrule": "FREQ=DAILY", "start": None, "time_zone": "UTC"}),
    ],
)
def test_a_schedule_as_json(schedule: Schedule, value: dict[str, Any]) -> None:
    """This is kept in the ledger: it must not change."""
    assert schedule.to_json() == value
    assert schedule_from_json(value) == schedule


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "give one of every, cron, once, rrule"),
        ("every", "cannot be read as a schedule"),
        ({"every": 600, "cron": "0 * * * *"}, "give one of"),
        ({"every": "600"}, "every takes a number of seconds"),
        ({"every": True}, "every takes a number of seconds"),
        ({"every": float("nan")}, "cannot be read as a schedule"),
        ({"every": 1e30}, "cannot be read as a schedule"),
        ({"every": 0}, "shorter than a second"),
        ({"every": 60, "time_zone": "UTC"}, "time_zone is unknown in a schedule with every"),
        ({"cron": "0 9 * *"}, "needs five fields"),
        ({"cron": None}, "needs five fields"),
        ({"cron": "0 9 * * *", "time_zone": None}, "time zone None is unknown"),
        ({"once": "tomorrow"}, "Invalid isoformat string: 'tomorrow'"),
        ({"once": 5}, "cannot be read as a schedule"),
        ({"once": "2026-01-01T09:00:00"}, "has no time zone"),
        ({"rrule": "FREQ=SECONDLY"}, "use every(seconds=...)"),
        ({"rrule": "FREQ=DAILY", "start": "soon"}, "'soon'"),
        ({"after_pipeline": "features"}, "cannot be read as a schedule"),
    ],
)
def test_what_is_no_schedule_says_why(value: Any, said: str) -> None:
    """Whoever wrote it reads what to change."""
    with pytest.raises(ValueError, match=r"\w") as raised:
        schedule_from_json(value)

    assert said in str(raised.value)


def test_once_fires_once() -> None:
    """Not before, and never again."""
    single = once(_NOON.astimezone(ZoneInfo("Europe/Berlin")))

    assert single.slot_at(_NOON - _TICK) is None
    assert single.slot_at(_NOON) == single.slot_at(_NOON + timedelta(days=99)) == _NOON
    assert single.slot_before(_NOON) is None
    assert single.slot_after(_NOON - _TICK) == _NOON
    assert single.slot_after(_NOON) is None


def test_the_end_of_a_pipeline_is_no_time() -> None:
    """The event itself starts the run."""
    event = after_pipeline("features", states="failed")

    assert event == AfterPipeline("features", states=("failed",))
    assert event.slot_at(_NOON) is event.slot_before(_NOON) is event.slot_after(_NOON) is None
    assert slots_between(event, EARLIEST, _NOON, 10) == []
    assert event.to_json() == {"after_pipeline": "features", "states": ["failed"]}


def test_slots_between_are_after_the_first_moment_and_up_to_the_last() -> None:
    """Spans join without a gap and without an overlap, and the limit keeps the oldest."""
    hourly = every(hours=1)

    assert slots_between(hourly, _NOON, _NOON + timedelta(hours=2), 10) == [_NOON + timedelta(hours=n) for n in (1, 2)]
    assert slots_between(hourly, _NOON, _NOON + timedelta(days=9), 2) == [_NOON + timedelta(hours=n) for n in (1, 2)]
    assert slots_between(hourly, _NOON, _NOON + timedelta(days=9), 0) == []


@pytest.mark.parametrize(
    ("schedule", "slot", "start"),
    [
        (every(hours=1), _NOON, _NOON - timedelta(hours=1)),
        (cron("0 14 * * *", "Europe/Berlin"), _NOON, _NOON - timedelta(hours=23)),
        (once(_NOON), _NOON, EARLIEST),
        (rrule("FREQ=DAILY;COUNT=3", start=_NOON), _NOON, EARLIEST),
    ],
)
def test_a_window_starts_at_the_slot_before(schedule: Schedule, slot: datetime, start: datetime) -> None:
    """Or with all time, when there is none."""
    assert window_of(schedule, slot) == (start, slot)


@pytest.mark.parametrize(
    "schedule", [cron("0 9 * * *", "America/New_York"), rrule("FREQ=DAILY", time_zone="Asia/Tokyo")]
)
def test_the_edges_of_time_are_no_error(schedule: Schedule) -> None:
    """There is always a first moment to look ahead from."""
    assert schedule.slot_after(EARLIEST) is not None
    assert schedule.slot_before(EARLIEST) is None
    assert schedule.slot_after(datetime(9999, 12, 31, tzinfo=UTC)) is None
    assert schedule.slot_at(datetime(9999, 12, 31, tzinfo=UTC)) is not None


@pytest.mark.parametrize("schedule", [once(_NOON), after_pipeline("features", states=("partial", "failed"))])
def test_a_sound_schedule_has_no_problems(schedule: Schedule) -> None:
    """Nothing to mend."""
    assert schedule.problems() == []


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (once(datetime(2026, 1, 1)), "has no time zone: give datetime(..., tzinfo=UTC)"),  # noqa: DTZ001 -- the case
        (once("2026-01-01"), "give a datetime"),  # type: ignore[arg-type]
        (after_pipeline(" "), "give the name of a pipeline"),
        (after_pipeline("features", states=()), "give some of succeeded, partial, failed"),
        (after_pipeline("features", states=("done",)), "give some of succeeded, partial, failed"),
        (rrule("FREQ=DAILY", start="2026-01-01"), "give a datetime, or None"),  # type: ignore[arg-type]
        (rrule(5), "give a text such as"),  # type: ignore[arg-type]
        (cron("0 25 * * *"), "Bad hour; its fields are minute 0-59, hour 0-23, day of month 1-31"),
        (cron(5), "needs five fields"),  # type: ignore[arg-type]
    ],
)
def test_a_schedule_that_cannot_work_says_why(schedule: Schedule, said: str) -> None:
    """Reported when the file is read, not when the first tick is due."""
    (problem,) = schedule.problems()

    assert said in problem


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (once(_NOON), "once at 2026-03-29 12:00:00+00:00"),
        (rrule("FREQ=DAILY;BYHOUR=9", time_zone="Asia/Tokyo"), "rrule FREQ=DAILY;BYHOUR=9 Asia/Tokyo"),
        (rrule("RRULE:FREQ=DAILY", start=_NOON), "rrule FREQ=DAILY UTC from 2026-03-29 12:00:00+00:00"),
        (after_pipeline("features", states=("partial", "failed")), "after features partial or failed"),
    ],
)
def test_a_schedule_reads_well(schedule: Schedule, text: str) -> None:
    """As `batchord pipelines` shows it."""
    assert str(schedule) == text
