"""From wall-clock times to instants, also on the days on which clocks change.

A calendar rule describes wall time, which has gaps and repeats; an instant is a moment in UTC. The rule enumerates its
wall times without a time zone. Only this module applies the zone, so a search forwards and a search backwards always
agree.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

#: The smallest step of a datetime.
TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
#: Longer than the widest change of any zone: Pacific/Apia skipped a whole day in 2011.
_AROUND = timedelta(hours=26)
_STILL = timedelta(0)
#: No schedule fires outside of these. Within them, Python can express a moment and its surroundings in every time zone.
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

#: The moments, in UTC, at which a wall-clock time is due in a zone.
Instants = Callable[[datetime, ZoneInfo], Sequence[datetime]]


class WallTimes(Protocol):
    """The wall-clock times of a rule, as datetimes without a zone."""

    def rising(self, wall: datetime) -> Iterator[datetime]:
        """The wall times at or after ``wall``, earliest first."""

    def falling(self, wall: datetime) -> Iterator[datetime]:
        """The wall times strictly before ``wall``, latest first."""


@dataclass(frozen=True)
class FireTimes:
    """The instants of a rule's wall times in a zone."""

    walls: WallTimes
    zone: ZoneInfo
    instants: Instants

    def at_or_before(self, moment: datetime) -> datetime | None:
        """The latest instant at or before ``moment``, in UTC."""
        return self.before(moment.astimezone(UTC) + TICK)

    def after(self, moment: datetime) -> datetime | None:
        """The earliest instant strictly after ``moment``, in UTC."""
        moment = max(moment.astimezone(UTC), _FIRST)
        if moment > _LAST:
            return None
        best = None
        for wall in self.walls.rising(self._wall(moment) - self._unrest(moment)):
            # Around a change of clocks a later wall time may be an earlier instant. So we look at a few more.
            if best is not None and wall > self._wall(best) + self._unrest(best):
                break
            for due in self.instants(wall, self.zone):
                if due > moment and (best is None or due < best):
                    best = due
            if best is not None and self._unrest(best) == _STILL:
                break
        return best

    def before(self, moment: datetime) -> datetime | None:
        """The latest instant strictly before ``moment``, in UTC."""
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
        """How far clocks move around ``moment``; zero on all but a few days of a year."""
        moments = (moment - _AROUND, moment, moment + _AROUND)
        offsets = [self._wall(instant) - instant.replace(tzinfo=None) for instant in moments]
        return max(offsets) - min(offsets)


def moved_by_the_gap(wall: datetime, zone: ZoneInfo) -> Sequence[datetime]:
    """One instant. A time in a gap moves on by the gap's length; a time that comes twice means the first (RFC 5545)."""
    return [wall.replace(tzinfo=zone).astimezone(UTC)]


def moved_after_the_gap(wall: datetime, zone: ZoneInfo) -> Sequence[datetime]:
    """One instant. A time in a gap moves right after the gap; a time that comes twice means the first.

    Debian's cron treats jobs at a time of day like this.
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
    """An instant for each time that clocks show ``wall``: none, one or two.

    So a rule that repeats all day long keeps its rhythm in real time.
    """
    due, other = readings(wall, zone)
    if due > other:
        return []
    return [due] if due == other else [due, other]


def readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A wall time in UTC, by the zone's offset before a change and by that after it; equal if no change is near."""
    local = wall.replace(tzinfo=zone)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def zone_problems(name: object) -> list[str]:
    """The problems of a time zone's name."""
    try:
        ZoneInfo(name if isinstance(name, str) else "")
    except (KeyError, ValueError, OSError):
        return [f"time zone {name!r} is unknown: use a name such as 'Europe/Berlin'"]
    return []
