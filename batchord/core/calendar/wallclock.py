"""From wall-clock times to instants, also on the days on which clocks change.

A calendar rule speaks of wall time, which has gaps and comes twice; an instant is a moment in UTC. The rule's
wall times are enumerated without any zone, and only here does a zone come in, so that looking ahead and looking
back cannot differ.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

#: The smallest step of a datetime.
TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
#: Longer than the widest change of any zone: Pacific/Apia left out a whole day in 2011.
_AROUND = timedelta(hours=26)
_STILL = timedelta(0)
#: No schedule fires outside: there every time zone and every look around is still within what Python can tell.
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

#: The moments, in UTC, at which a wall-clock time is due in a zone.
Instants = Callable[[datetime, ZoneInfo], Sequence[datetime]]


class WallTimes(Protocol):
    """The wall-clock times of a rule, as datetimes without a zone."""

    def rising(self, wall: datetime) -> Iterator[datetime]:
        """Those at or after ``wall``, earliest first."""

    def falling(self, wall: datetime) -> Iterator[datetime]:
        """Those strictly before ``wall``, latest first."""


@dataclass(frozen=True)
class FireTimes:
    """The instants of a rule's wall times in a zone."""

    walls: WallTimes
    zone: ZoneInfo
    instants: Instants

    def at_or_before(self, moment: datetime) -> datetime | None:
        """The latest that is not after ``moment``, in UTC."""
        return self.before(moment.astimezone(UTC) + TICK)

    def after(self, moment: datetime) -> datetime | None:
        """The earliest strictly after ``moment``, in UTC."""
        moment = max(moment.astimezone(UTC), _FIRST)
        if moment > _LAST:
            return None
        best = None
        for wall in self.walls.rising(self._wall(moment) - self._unrest(moment)):
            # Around a change a later wall time may be an earlier instant: a few more have to be looked at.
            if best is not None and wall > self._wall(best) + self._unrest(best):
                break
            for due in self.instants(wall, self.zone):
                if due > moment and (best is None or due < best):
                    best = due
            if best is not None and self._unrest(best) == _STILL:
                break
        return best

    def before(self, moment: datetime) -> datetime | None:
        """The latest strictly before ``moment``, in UTC."""
        moment = min(moment.astimezone(UTC), _LAST)
        if moment < _FIRST:
            return None
        best = None
        for wall in self.walls.falling(self._wall(moment) + self._unrest(moment) + TICK):
            if best is not None and wall < self._wall(best) - self._unrest(best):
                break
            for due in self.instants(wall, self.zone):
                if due < moment and (best is None or due > best):
                    best = due
            if best is not None and self._unrest(best) == _STILL:
                break
        return best

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def _unrest(self, moment: datetime) -> timedelta:
        """How far the clocks are moved around ``moment``; zero on all but a few days of a year."""
        offsets = [
            self._wall(each) - each.replace(tzinfo=None) for each in (moment - _AROUND, moment, moment + _AROUND)
        ]
        return max(offsets) - min(offsets)


def moved_by_the_gap(wall: datetime, zone: ZoneInfo) -> Sequence[datetime]:
    """Once: a time that is left out is moved on by the gap, of one that comes twice the first counts (RFC 5545)."""
    return [wall.replace(tzinfo=zone).astimezone(UTC)]


def moved_after_the_gap(wall: datetime, zone: ZoneInfo) -> Sequence[datetime]:
    """Once: a time that is left out falls right after the gap, of one that comes twice the first counts.

    So does Debian's cron with jobs at a time of day.
    """
    due, other = readings(wall, zone)
    if due <= other:
        return [due]
    # The change lies after `other` and not after `due`.
    inside, outside = other, due
    while outside - inside > _SECOND:
        middle = inside + (outside - inside) // 2
        if middle.astimezone(zone).utcoffset() == outside.astimezone(zone).utcoffset():
            outside = middle
        else:
            inside = middle
    return [outside.replace(microsecond=0)]


def each_time_it_comes(wall: datetime, zone: ZoneInfo) -> Sequence[datetime]:
    """As often as clocks show it: not at all, once, or twice. What repeats all day long stays even in real time."""
    due, other = readings(wall, zone)
    if due > other:
        return []
    return [due] if due == other else [due, other]


def readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A wall time in UTC by the offset before a change and by the one after it: equal when no change is near."""
    local = wall.replace(tzinfo=zone)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def zone_problems(name: object) -> list[str]:
    """What is wrong with a time zone's name."""
    try:
        ZoneInfo(name if isinstance(name, str) else "")
    except (KeyError, ValueError, OSError):
        return [f"time zone {name!r} is unknown: use a name such as 'Europe/Berlin'"]
    return []
