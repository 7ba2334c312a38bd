"""When a pipeline runs. A schedule computes slots itself; a tick only says that one may be due.

The slot is the schedule's own fire time, not the clock's: two ticks for one fire time name the same slot.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_CRON_FIELDS = 5
_LONGEST = timedelta(days=1000)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Schedule(Protocol):
    """Fire times without end in both directions."""

    def slot_at(self, now: datetime) -> datetime:
        """The latest fire time at or before ``now`` (aware), in UTC."""

    def slot_before(self, slot: datetime) -> datetime:
        """The fire time before ``slot``, in UTC: where the slot's window starts."""

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""


@dataclass(frozen=True)
class Every:
    """A fixed interval, counted from midnight UTC of 2000-01-01, so that it does not depend on a start-up."""

    interval: timedelta

    def slot_at(self, now: datetime) -> datetime:
        """See :class:`Schedule`."""
        now = now.astimezone(UTC)  # arithmetic in a local zone is an hour off on the day clocks change
        return now - (now - _EPOCH) % self.interval

    def slot_before(self, slot: datetime) -> datetime:
        """See :class:`Schedule`."""
        return slot - self.interval

    def problems(self) -> list[str]:
        """See :class:`Schedule`."""
        if self.interval < timedelta(seconds=1):
            return [f"every({self.interval}) is shorter than a second: give a longer interval"]
        if self.interval > _LONGEST:
            return [f"every({self.interval}) is longer than {_LONGEST.days} days: use cron(...) or run it by hand"]
        return []

    def __str__(self) -> str:
        seconds = self.interval.total_seconds()
        for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
            if seconds >= length and seconds % length == 0:
                return f"every {seconds / length:g} {unit}" if seconds > length else f"every {unit[:-1]}"
        return f"every {seconds:g} seconds"


@dataclass(frozen=True)
class Cron:
    """A cron expression of five fields in a time zone, with Debian cron's treatment of daylight saving."""

    expression: str
    time_zone: str = "UTC"

    def slot_at(self, now: datetime) -> datetime:
        """See :class:`Schedule`."""
        # cronsim looks strictly before its start: a fire time exactly now must count.
        return self._fire_time_before(now + timedelta(microseconds=1))

    def slot_before(self, slot: datetime) -> datetime:
        """See :class:`Schedule`."""
        return self._fire_time_before(slot)

    def problems(self) -> list[str]:
        """See :class:`Schedule`."""
        try:
            zone = ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):
            return [f"time zone {self.time_zone!r} is unknown: use a name such as 'Europe/Berlin'"]
        if len(self.expression.split()) != _CRON_FIELDS:
            return [f"cron({self.expression!r}) needs five fields: minute, hour, day of month, month, day of week"]
        try:
            next(CronSim(self.expression, datetime.now(zone)))
        except CronSimError as error:
            return [f"cron({self.expression!r}) cannot be read: {error}"]
        except StopIteration:
            return [f"cron({self.expression!r}) never fires"]
        return []

    def _fire_time_before(self, moment: datetime) -> datetime:
        local = moment.astimezone(ZoneInfo(self.time_zone))
        return next(CronSim(self.expression, local, reverse=True)).astimezone(UTC)

    def __str__(self) -> str:
        return f"cron {self.expression} {self.time_zone}"


def every(*, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> Every:
    """A run each interval: ``every(minutes=10)``."""
    return Every(timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days))


def cron(expression: str, time_zone: str = "UTC") -> Cron:
    """A run at each fire time of a cron expression: ``cron("*/30 * * * *", "Europe/Berlin")``."""
    return Cron(expression, time_zone)
