"""Recurrence rules of RFC 5545: :mod:`.rrules` reads them, python-dateutil enumerates their wall times.

dateutil counts from the start of a rule, which may lie decades back. Here its start is moved forward by whole
periods to the one that is asked for; all that follows from the rule's own start is written into the rule before.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import dropwhile, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from batchord.core.calendar.rrules import DAY_PARTS, DAYS, rule_parts
from batchord.core.calendar.wallclock import (
    TICK,
    FireTimes,
    each_time_it_comes,
    moved_by_the_gap,
    readings,
    zone_problems,
)

#: The first Monday of 2000: what a rule counts from that is given no start, in its time zone.
DEFAULT_START = datetime(2000, 1, 3)  # noqa: DTZ001 -- a wall time
#: The calendar repeats every 400 years: what does not fire in the last 400 that Python knows never does.
_LATE = datetime(9600, 1, 1)  # noqa: DTZ001 -- a wall time
_DAY = timedelta(days=1)
_PERIODS = {
    "HOURLY": timedelta(hours=1),
    "DAILY": _DAY,
    "WEEKLY": 7 * _DAY,
    "MONTHLY": 31 * _DAY,
    "YEARLY": 366 * _DAY,
}


@dataclass(frozen=True)
class Rrule:
    """A recurrence rule in a time zone.

    A time of day that clocks leave out is moved on by the gap, one that they show twice counts once, the first. Only
    ``FREQ=HOURLY`` without BYHOUR goes by what clocks show, so that nothing is dropped or doubled in real time.
    A day or a time that the rule does not name is that of its start.
    """

    rule: str
    _: KW_ONLY
    #: DTSTART; one without a zone is wall time in ``time_zone``. None: Monday 2000-01-03, midnight.
    start: datetime | None = None
    time_zone: str = "UTC"

    def slot_at(self, now: datetime) -> datetime | None:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        return self._recurrence().before(now.astimezone(UTC) + TICK)

    def slot_before(self, slot: datetime) -> datetime | None:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        return self._recurrence().before(slot.astimezone(UTC))

    def slot_after(self, moment: datetime) -> datetime | None:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        return self._recurrence().after(moment.astimezone(UTC))

    def problems(self) -> list[str]:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        if found := zone_problems(self.time_zone):
            return found
        if not isinstance(self.rule, str):
            return [f"rrule({self.rule!r}): give a text such as 'FREQ=WEEKLY;BYDAY=MO;BYHOUR=9'"]
        if self.start is not None and not isinstance(self.start, datetime):
            return [f"rrule(start={self.start!r}): give a datetime, or None"]
        try:
            never = not self._recurrence().fires()
        except (ValueError, OverflowError) as error:
            return [f"rrule({self.rule!r}): {error}"]
        return [f"rrule({self.rule!r}) never fires"] if never else []

    def to_json(self) -> dict[str, Any]:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        start = None if self.start is None else self.start.isoformat()
        return {"rrule": self.rule, "start": start, "time_zone": self.time_zone}

    def __str__(self) -> str:
        start = "" if self.start is None else f" from {self.start.isoformat(sep=' ')}"
        return f"rrule {self.rule.removeprefix('RRULE:')} {self.time_zone}{start}"

    def _recurrence(self) -> "_Recurrence":
        return _recurrence(self.rule, self.start, self.time_zone)


@dataclass(frozen=True, eq=False)
class _Recurrence:
    """A rule that was read, with its start as a wall time of its zone."""

    parts: Mapping[str, str]
    start: datetime
    zone: ZoneInfo

    def before(self, moment: datetime) -> datetime | None:
        """The latest fire time strictly before ``moment``, which is in UTC."""
        if "COUNT" in self.parts:
            index = bisect_left(self._counted, moment)
            return self._counted[index - 1] if index else None
        if self._until is not None:
            moment = min(moment, self._until + TICK)
        return self._fire_times.before(moment)

    def after(self, moment: datetime) -> datetime | None:
        """The earliest fire time strictly after ``moment``, which is in UTC."""
        if "COUNT" in self.parts:
            index = bisect_right(self._counted, moment)
            return self._counted[index] if index < len(self._counted) else None
        found = self._fire_times.after(moment)
        return None if found is None or (self._until is not None and found > self._until) else found

    def fires(self) -> bool:
        """Whether it has any fire time."""
        if next(self.rising(max(self.start, _LATE)), None) is None:
            return False
        return self._until is None or self.before(self._until + TICK) is not None

    def rising(self, wall: datetime) -> Iterator[datetime]:
        """See :class:`batchord.core.calendar.wallclock.WallTimes`; UNTIL and COUNT are left to the fire times."""
        wall = max(wall, self.start)
        return dropwhile(lambda each: each < wall, _until_year_10000(self.rule_from(wall)))

    def falling(self, wall: datetime) -> Iterator[datetime]:
        """See :class:`batchord.core.calendar.wallclock.WallTimes`; looks back over longer and longer spans."""
        span = self._interval * _PERIODS[self.parts["FREQ"]]
        while wall > self.start:
            low = wall - span if wall - self.start > span else self.start
            yield from reversed(list(takewhile(wall.__gt__, self.rising(low))))
            wall, span = low, span * 4

    def rule_from(self, wall: datetime) -> rrule:
        """The rule without an end, from the start of its last period that starts at or before ``wall``.

        Raises:
            ValueError: dateutil finds no sense in it.
        """
        rule = rrulestr(self._text, dtstart=self._period_of(wall))
        assert isinstance(rule, rrule)  # noqa: S101 -- a set of rules is only made of several lines
        return rule

    def _period_of(self, wall: datetime) -> datetime:
        start, step, frequency = self.start, self._interval, self.parts["FREQ"]
        midnight = start.replace(hour=0, minute=0, second=0)
        if frequency == "YEARLY":
            return midnight.replace(year=wall.year - (wall.year - start.year) % step, month=1, day=1)
        if frequency == "MONTHLY":
            months = wall.year * 12 + wall.month - (start.year * 12 + start.month)
            months = start.year * 12 + start.month - 1 + months - months % step
            return midnight.replace(year=months // 12, month=months % 12 + 1, day=1)
        if frequency == "WEEKLY":
            first = midnight - (start.weekday() - DAYS.index(self.parts.get("WKST", "MO"))) % 7 * _DAY
        else:
            first = midnight if frequency == "DAILY" else start.replace(minute=0, second=0)
        return wall - (wall - first) % (step * _PERIODS[frequency])

    @cached_property
    def _fire_times(self) -> FireTimes:
        all_day_long = self.parts["FREQ"] == "HOURLY" and "BYHOUR" not in self.parts
        return FireTimes(self, self.zone, each_time_it_comes if all_day_long else moved_by_the_gap)

    @cached_property
    def _counted(self) -> list[datetime]:
        """All fire times of a rule with a COUNT. What counts are instants: two wall times may make one, or one two."""
        count = int(self.parts["COUNT"])
        found: set[datetime] = set()
        last = None
        for wall in self.rising(self.start):
            if last is None and len(found) >= count:
                last = wall + _DAY  # around a change of clocks a later wall time may be an earlier instant
            if last is not None and wall > last:
                break
            found.update(self._fire_times.instants(wall, self.zone))
        return sorted(found)[:count]

    @cached_property
    def _until(self) -> datetime | None:
        text = self.parts.get("UNTIL")
        if text is None:
            return None
        until = datetime.strptime(text[:15], "%Y%m%dT%H%M%S")  # noqa: DTZ007 -- the next line says where
        return until.replace(tzinfo=UTC) if text.endswith("Z") else max(readings(until, self.zone))

    @cached_property
    def _interval(self) -> int:
        return int(self.parts.get("INTERVAL", "1"))

    @cached_property
    def _text(self) -> str:
        """The rule without an end, and with what dateutil would else take from the start or from the process."""
        parts = {name: value for name, value in self.parts.items() if name not in ("COUNT", "UNTIL")}
        start, frequency = self.start, parts["FREQ"]
        if not any(name in parts for name in DAY_PARTS):
            if frequency == "YEARLY":
                parts.setdefault("BYMONTH", str(start.month))
            if frequency in ("YEARLY", "MONTHLY"):
                parts["BYMONTHDAY"] = str(start.day)
            if frequency == "WEEKLY":
                parts["BYDAY"] = DAYS[start.weekday()]
        if frequency != "HOURLY":
            parts.setdefault("BYHOUR", str(start.hour))
        parts.setdefault("BYMINUTE", str(start.minute))
        parts.setdefault("BYSECOND", str(start.second))
        parts.setdefault("WKST", "MO")  # dateutil's own is calendar.firstweekday(), which anyone may set
        return ";".join(f"{name}={value}" for name, value in parts.items())


def _until_year_10000(rule: rrule) -> Iterator[datetime]:
    try:
        yield from rule
    except (ValueError, OverflowError):  # dateutil builds a date of the year 10000
        return


@lru_cache(maxsize=256)
def _recurrence(text: str, start: datetime | None, time_zone: str) -> _Recurrence:
    zone = ZoneInfo(time_zone)
    parts = rule_parts(text)
    if parts["FREQ"] == "HOURLY" and int(parts.get("INTERVAL", "1")) > 1 and time_zone != "UTC":
        raise ValueError(
            f"the hours between its times are uneven when clocks change in {time_zone}: use UTC, or FREQ=DAILY with "
            "BYHOUR"
        )
    first = start or DEFAULT_START
    if first.tzinfo is not None:
        first = first.astimezone(zone).replace(tzinfo=None)
    found = _Recurrence(parts, first.replace(microsecond=0, fold=0), zone)
    found.rule_from(found.start)
    return found
