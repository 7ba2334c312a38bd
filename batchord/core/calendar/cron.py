"""Cron expressions. cronsim reads them and enumerates wall times; :mod:`.wallclock` turns these into instants.

We do not give cronsim the time zone, although it accepts one, because it has these bugs. When an hour comes twice, its
reverse search in the second pass starts from the first pass and misses fire times, and its forward search can go back
in time. Where clocks move by half an hour, it leaves out fire times of the hours after.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from batchord.core.calendar.wallclock import TICK, FireTimes, each_time_it_comes, moved_after_the_gap, zone_problems

_FIELDS = 5
_RANGES = "minute 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-7"
#: Where problems() starts its search for a fire time. A fixed day: the result must not depend on today's date.
_EARLY = datetime(2000, 1, 1)  # noqa: DTZ001 -- a wall time


@dataclass(frozen=True)
class Cron:
    """A cron expression of five fields in a time zone. It treats daylight saving as Debian's cron does.

    If clocks skip a time of day, it fires right after the gap. If clocks show a time of day twice, it fires once, at
    the first. An expression whose minute or hour starts with ``*`` repeats all day long: it fires whenever clocks show
    the time, so that no fire time is dropped or doubled in real time.
    """

    expression: str
    time_zone: str = "UTC"

    def slot_at(self, now: datetime) -> datetime | None:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        return self._fire_times().at_or_before(now)

    def slot_before(self, slot: datetime) -> datetime | None:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        return self._fire_times().before(slot)

    def slot_after(self, moment: datetime) -> datetime | None:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        return self._fire_times().after(moment)

    def problems(self) -> list[str]:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        if problems := zone_problems(self.time_zone):
            return problems
        fields = len(self.expression.split()) if isinstance(self.expression, str) else 0
        if fields != _FIELDS:
            more = f", and has {fields}" if fields else ""
            # Quartz and Spring begin with the seconds.
            more += "; no field is for seconds, for which there is every(seconds=...)" if fields > _FIELDS else ""
            needed = "five fields: minute, hour, day of month, month, day of week"
            return [f"cron({self.expression!r}) needs {needed}{more}"]
        try:
            next(CronSim(self.expression, _EARLY))
        except CronSimError as error:
            return [f"cron({self.expression!r}) cannot be read: {error}; its fields are {_RANGES}"]
        except StopIteration:
            return [f"cron({self.expression!r}) never fires"]
        return []

    def to_json(self) -> dict[str, Any]:
        """See :class:`batchord.core.calendar.schedules.Schedule`."""
        return {"cron": self.expression, "time_zone": self.time_zone}

    def __str__(self) -> str:
        return f"cron {self.expression} {self.time_zone}"

    def _fire_times(self) -> FireTimes:
        return _fire_times(self.expression, self.time_zone)


@dataclass(frozen=True)
class _Matches:
    """The wall times that match an expression."""

    expression: str

    def rising(self, wall: datetime) -> Iterator[datetime]:
        # cronsim drops microseconds and then looks strictly after. One tick less makes a match exactly at `wall` count.
        yield from CronSim(self.expression, wall - TICK)

    def falling(self, wall: datetime) -> Iterator[datetime]:
        yield from CronSim(self.expression, wall, reverse=True)


@lru_cache(maxsize=256)
def _fire_times(expression: str, time_zone: str) -> FireTimes:
    minute, hour = expression.split()[:2]
    all_day_long = minute.startswith("*") or hour.startswith("*")
    return FireTimes(
        _Matches(expression), ZoneInfo(time_zone), each_time_it_comes if all_day_long else moved_after_the_gap
    )
