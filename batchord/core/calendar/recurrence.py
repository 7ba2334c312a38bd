"""Recurrence rules of RFC 5545: :mod:`.rrules` reads them, python-dateutil enumerates their wall times.

dateutil counts from the start of a rule, which may lie decades back. So we move the start forward by whole periods to
the period that we need. First we write into the rule all parts that would follow from its own start.
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

#: The start of a rule that names none, as wall time in its time zone: the first Monday of 2000.
DEFAULT_START = datetime(2000, 1, 3)  # noqa: DTZ001 -- a wall time
#: The calendar repeats every 400 years: a rule that does not fire in the last 400 that Python knows never does.
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

    If clocks skip a time of day, it moves on by the length of the gap. If clocks show a time of day twice, only the
    first counts. ``FREQ=HOURLY`` without BYHOUR is different: it fires whenever clocks show the time, so that no fire
    time is dropped or doubled in real time. If the rule names no day or no time of day, it takes that of its start.
    """

    rule: str
    _: KW_ONLY
    #: DTSTART. Without a zone it is wall time in ``time_zone``. None: Monday 2000-01-03, midnight.
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
        if problems := zone_problems(self.time_zone):
            return problems
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
    """A parsed rule, with its start as a wall time of its zone."""

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
        due = self._fire_times.after(moment)
        return None if due is None or (self._until is not None and due > self._until) else due

    def fires(self) -> bool:
        """Whether it has any fire time."""
        if next(self.rising(max(self.start, _LATE)), None) is None:
            return False
        return self._until is None or self.before(self._until + TICK) is not None

    def rising(self, wall: datetime) -> Iterator[datetime]:
        """See :class:`batchord.core.calendar.wallclock.WallTimes`. UNTIL and COUNT are applied later, to fire times."""
        wall = max(wall, self.start)
        return dropwhile(wall.__gt__, _until_year_10000(self.rule_from(wall)))

    def falling(self, wall: datetime) -> Iterator[datetime]:
        """See :class:`batchord.core.calendar.wallclock.WallTimes`. It looks back over longer and longer spans."""
        span = self._interval * _PERIODS[self.parts["FREQ"]]
        while wall > self.start:
            low = wall - span if wall - self.start > span else self.start
            yield from reversed(list(takewhile(wall.__gt__, self.rising(low))))
            wall, span = low, span * 4

    def rule_from(self, wall: datetime) -> rrule:
        """The rule without an end, from the start of its last period that starts at or before ``wall``.

        Raises:
            ValueError: dateutil cannot read the rule.
        """
        rule = rrulestr(self._text, dtstart=self._period_of(wall))
        assert isinstance(rule, rrule)  # noqa: S101 -- only a text of several lines becomes a set of rules
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
        """All fire times of a rule with a COUNT. It counts instants: two wall times may be one instant, or one two."""
        count = int(self.parts["COUNT"])
        instants: set[datetime] = set()
        last = None
        for wall in self.rising(self.start):
            if last is None and len(instants) >= count:
                last = wall + _DAY  # around a change of clocks a later wall time may be an earlier instant
            if last is not None and wall > last:
                break
            instants.update(self._fire_times.instants(wall, self.zone))
        return sorted(instants)[:count]

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
        """The rule without its end, with all parts that dateutil would otherwise take from the start or the process."""
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
        parts.setdefault("WKST", "MO")  # dateutil's default is calendar.firstweekday(), which any code may set
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
    recurrence = _Recurrence(parts, first.replace(microsecond=0, fold=0), zone)
    recurrence.rule_from(recurrence.start)  # raises now if dateutil cannot read the rule
    return recurrence
