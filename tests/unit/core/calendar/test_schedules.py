"""Fire times: the slot is the schedule's, whatever the clock and the clocks' changes say."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchord.core.calendar.schedules import Cron, Every, Schedule, cron, every

_BERLIN = ZoneInfo("Europe/Berlin")
_MOMENTS = st.datetimes(datetime(2001, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- made aware
_EVERY = st.builds(Every, st.timedeltas(timedelta(seconds=1), timedelta(days=40)))
_CRON = st.builds(
    Cron,
    st.sampled_from(
        [
            "* * * * *",
            "*/7 * * * *",
            "30 2 * * *",
            "0 0 1 * *",
            "15 3 * * 0",
            "0 9-17/2 * * 1-5",
            "0 0 29 2 *",
            "0 12 L * *",
        ]
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"]),
)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@given(_EVERY | _CRON, _MOMENTS)
@example(cron("30 2 * * *", "Europe/Berlin"), _at("2026-03-29T01:00:00+00:00"))
@example(cron("30 2 * * *", "Europe/Berlin"), _at("2026-10-25T01:30:00+00:00"))
def test_the_slot_of_a_moment_is_its_own_slot(schedule: Schedule, moment: datetime) -> None:
    """Never in the future, in UTC, and a tick exactly at the fire time stands for that fire time."""
    slot = schedule.slot_at(moment)

    assert slot <= moment
    assert slot.utcoffset() == timedelta(0)
    assert schedule.slot_at(slot) == slot


@given(_EVERY | _CRON, _MOMENTS)
def test_the_slot_before_is_the_one_that_ended_a_moment_earlier(schedule: Schedule, moment: datetime) -> None:
    """Windows join without a gap and without an overlap."""
    slot = schedule.slot_at(moment)
    before = schedule.slot_before(slot)

    assert before < slot
    assert before == schedule.slot_at(slot - timedelta(microseconds=1))


@given(_EVERY | _CRON, _MOMENTS, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_slots_rise_with_time(schedule: Schedule, moment: datetime, later: timedelta) -> None:
    """A later tick never stands for an earlier slot."""
    assert schedule.slot_at(moment) <= schedule.slot_at(moment + later)


def test_an_interval_counts_from_a_fixed_midnight() -> None:
    """Not from the start of a process: every beat and every worker names the same slot."""
    assert every(minutes=10).slot_at(_at("2026-11-22T14:19:59+00:00")) == _at("2026-11-22T14:10:00+00:00")
    assert every(days=1).slot_at(_at("2026-11-22T14:19:59+00:00")) == _at("2026-11-22T00:00:00+00:00")


@pytest.mark.parametrize(
    "moment", [datetime(2026, 3, 29, 12, tzinfo=_BERLIN), datetime(2026, 10, 25, 2, 30, tzinfo=_BERLIN, fold=1)]
)
def test_an_interval_is_the_same_whatever_zone_the_clock_is_in(moment: datetime) -> None:
    """Also on the days on which the clocks change."""
    daily = every(days=1)

    assert daily.slot_at(moment) == daily.slot_at(moment.astimezone(UTC))
    assert daily.slot_at(moment).utcoffset() == timedelta(0)


def test_a_fire_time_counts_to_the_microsecond() -> None:
    """One microsecond before nine it is still the slot of eight."""
    hourly = cron("0 * * * *")

    assert hourly.slot_at(_at("2026-01-01T09:00:00+00:00")) == _at("2026-01-01T09:00:00+00:00")
    assert hourly.slot_at(_at("2026-01-01T08:59:59.999999+00:00")) == _at("2026-01-01T08:00:00+00:00")


def test_a_cron_expression_is_read_in_its_time_zone() -> None:
    """Nine in Berlin is eight in winter and seven in summer."""
    nine = cron("0 9 * * *", "Europe/Berlin")

    assert nine.slot_at(_at("2026-01-10T12:00:00+00:00")) == _at("2026-01-10T08:00:00+00:00")
    assert nine.slot_at(_at("2026-07-10T12:00:00+00:00")) == _at("2026-07-10T07:00:00+00:00")


def test_a_nightly_run_in_the_hour_that_is_left_out_runs_once() -> None:
    """On 29 March 2026 there is no half past two in Berlin: the slot falls right after the gap."""
    nightly = cron("30 2 * * *", "Europe/Berlin")

    slots = _slots(nightly, "2026-03-27T12:00:00+00:00", "2026-03-30T12:00:00+00:00")

    assert slots == [_at(f"2026-03-{text}:00+00:00") for text in ("28T01:30", "29T01:00", "30T00:30")]


def test_a_nightly_run_in_the_hour_that_comes_twice_runs_once() -> None:
    """On 25 October 2026 half past two comes twice in Berlin: only the first counts."""
    nightly = cron("30 2 * * *", "Europe/Berlin")

    slots = _slots(nightly, "2026-10-24T12:00:00+00:00", "2026-10-26T12:00:00+00:00")

    assert slots == [_at("2026-10-25T00:30:00+00:00"), _at("2026-10-26T01:30:00+00:00")]


def test_an_hourly_run_goes_on_through_the_hour_that_comes_twice() -> None:
    """Work that repeats all day long is due in both hours."""
    hourly = cron("0 * * * *", "Europe/Berlin")

    slots = _slots(hourly, "2026-10-24T22:30:00+00:00", "2026-10-25T04:30:00+00:00")

    assert [later - slot for slot, later in pairwise(slots)] == [timedelta(hours=1)] * 5


@settings(max_examples=40)
@given(
    st.sampled_from(["30 2 * * *", "0 * * * *", "*/30 1-3 * * *", "0 3 * * *", "0 0 * * *", "15 1 * * *", "5 2 * * 0"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Africa/Cairo"]),
    st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 10, 11)]),
)
def test_looking_back_and_looking_ahead_give_the_same_fire_times(expression: str, zone: str, start: datetime) -> None:
    """Nothing twice and nothing dropped when clocks change, in either direction."""
    end = start + timedelta(days=31)
    ahead = []
    for fire in CronSim(expression, (start - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))):
        if fire > end:
            break
        ahead.append(fire.astimezone(UTC))

    assert _slots(cron(expression, zone), start.isoformat(), end.isoformat()) == ahead


def _slots(schedule: Schedule, start: str, end: str) -> list[datetime]:
    slots = [schedule.slot_at(_at(end))]
    while slots[-1] >= _at(start):
        slots.append(schedule.slot_before(slots[-1]))
    return slots[-2::-1]


@pytest.mark.parametrize("schedule", [every(seconds=1), every(hours=36), cron("*/5 * * * *"), cron("0 0 29 2 *")])
def test_a_sound_schedule_has_no_problems(schedule: Schedule) -> None:
    """Nothing to mend."""
    assert schedule.problems() == []


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (every(), "shorter than a second"),
        (every(seconds=0.5), "shorter than a second"),
        (every(minutes=-5), "shorter than a second"),
        (every(days=10**6), "longer than 1000 days: use cron(...) or run it by hand"),
        (cron("every day"), "cron('every day')"),
        (cron("99 * * * *"), "minute"),
        (cron("0 0 31 2 *"), "day-of-month"),
        (cron("0 * * * *", "Europe/Atlantis"), "'Europe/Atlantis' is unknown: use a name such as"),
        (cron("0 * * * *", "../../etc/passwd"), "is unknown"),
        (cron("0 * * * *", ""), "is unknown"),
    ],
)
def test_a_schedule_that_cannot_work_says_why(schedule: Schedule, said: str) -> None:
    """Reported when the file is read, not when the first tick is due."""
    (problem,) = schedule.problems()

    assert said in problem


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (every(minutes=10), "every 10 minutes"),
        (every(hours=1), "every hour"),
        (every(days=7), "every 7 days"),
        (every(seconds=90), "every 90 seconds"),
        (cron("0 9 * * *"), "cron 0 9 * * * UTC"),
    ],
)
def test_a_schedule_reads_well(schedule: Schedule, text: str) -> None:
    """As `batchord pipelines` shows it."""
    assert str(schedule) == text
