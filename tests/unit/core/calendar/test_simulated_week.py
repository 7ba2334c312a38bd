"""A week on a clock that the test moves: how often each schedule fires, whatever the ticks are like."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from batchord.core.calendar.schedules import Schedule, cron, every, rrule, slots_between

_BERLIN = "Europe/Berlin"
_WEEK = timedelta(days=7)
_TICK = timedelta(minutes=5)
_MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
#: Weeks of 168 real hours in which Berlin's clocks go forward, go back, and do neither.
_STARTS = [
    _MONDAY,
    datetime(2026, 3, 25, 10, 17, 5, tzinfo=ZoneInfo(_BERLIN)).astimezone(UTC),
    datetime(2026, 10, 21, 10, 17, 5, tzinfo=ZoneInfo(_BERLIN)).astimezone(UTC),
]
_SCHEDULES: list[tuple[Schedule, int]] = [
    (cron("0 3 * * 0"), 1),
    (rrule("FREQ=WEEKLY;BYDAY=SU;BYHOUR=3"), 1),
    (cron("30 2 * * 0", _BERLIN), 1),
    (rrule("FREQ=WEEKLY;BYDAY=SU;BYHOUR=2;BYMINUTE=30", time_zone=_BERLIN), 1),
    (every(minutes=10), 1008),
    (every(minutes=30), 336),
    (every(hours=1), 168),
    (cron("*/10 * * * *"), 1008),
    (cron("*/30 * * * *"), 336),
    (cron("0 * * * *"), 168),
    (cron("*/10 * * * *", _BERLIN), 1008),
    (cron("*/30 * * * *", _BERLIN), 336),
    (cron("0 * * * *", _BERLIN), 168),
    (rrule("FREQ=HOURLY", time_zone=_BERLIN), 168),
    (rrule("FREQ=HOURLY;BYMINUTE=0,30", time_zone=_BERLIN), 336),
]


def _ticks(start: datetime) -> Iterator[datetime]:
    """A tick every five minutes after ``start``, up to a week later."""
    for number in range(1, _WEEK // _TICK + 1):
        yield start + number * _TICK


def _slots(schedule: Schedule, start: datetime, ticks: Iterator[datetime]) -> list[datetime | None]:
    """The slots that the ticks stand for, as the ledger would keep them: each once, none from before the start."""
    known = schedule.slot_at(start)
    slots = []
    for tick in ticks:
        slot = schedule.slot_at(tick)
        if slot != known:
            slots.append(slot)
            known = slot
    return slots


@pytest.mark.parametrize("start", _STARTS, ids=["plain", "spring", "autumn"])
@pytest.mark.parametrize(("schedule", "runs"), _SCHEDULES, ids=str)
def test_a_week_of_ticks(schedule: Schedule, runs: int, start: datetime) -> None:
    """Exactly so many distinct slots, and the same as looking ahead gives."""
    slots = _slots(schedule, start, _ticks(start))

    assert len(slots) == len(set(slots)) == runs
    assert slots == slots_between(schedule, start, start + _WEEK, 10_000)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("schedule", "runs"), _SCHEDULES, ids=str)
def test_a_week_of_late_ticks(schedule: Schedule, runs: int, seed: int) -> None:
    """A tick that comes up to 50 seconds late stands for the same slot."""
    chance = random.Random(seed)  # noqa: S311 -- spreads ticks
    start = _STARTS[seed - 1]
    late = (tick + timedelta(seconds=chance.uniform(0, 50)) for tick in _ticks(start))

    slots = _slots(schedule, start, late)

    assert slots == slots_between(schedule, start, start + _WEEK, 10_000)
    assert len(slots) == runs


def test_a_week_second_by_second() -> None:
    """Weekly training and predictions every 10, 30 and 60 minutes, each exactly when it is due."""
    weekly = rrule("FREQ=WEEKLY;BYDAY=SU;BYHOUR=3")
    schedules = [weekly, every(minutes=10), every(minutes=30), every(minutes=60)]
    due = [schedule.slot_after(_MONDAY) for schedule in schedules]
    fired = [0] * len(schedules)

    for second in range(1, int(_WEEK.total_seconds()) + 1):
        now = _MONDAY + timedelta(seconds=second)
        for index, schedule in enumerate(schedules):
            if now == due[index]:
                assert schedule.slot_at(now) == now
                fired[index] += 1
                due[index] = schedule.slot_after(now)

    assert fired == [1, 1008, 336, 168]
