"""When a pipeline runs. The schedule computes the slots; a tick only says that one may be due.

The slot is the schedule's fire time, not the time of the tick. So two ticks for one fire time name the same slot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from batchord.core.calendar.cron import Cron
from batchord.core.calendar.recurrence import Rrule
from batchord.core.text.calls import names_options
from batchord.core.text.names import as_names

__all__ = [
    "EARLIEST",
    "AfterPipeline",
    "Cron",
    "Every",
    "Once",
    "Rrule",
    "Schedule",
    "after_pipeline",
    "cron",
    "every",
    "once",
    "open_start",
    "rrule",
    "schedule_from_json",
    "slots_between",
    "window_of",
]

#: Where the window of a schedule's first slot starts: before all records. It is the second day that Python knows, so
#: that every time zone can show it.
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_LONGEST = timedelta(days=1000)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_STATES = ("succeeded", "partial", "failed")


class Schedule(Protocol):
    """Fire times in UTC: endlessly many in both directions, a few, or none. All arguments must have a time zone."""

    def slot_at(self, now: datetime) -> datetime | None:
        """The latest fire time at or before ``now``; None if the schedule has not fired yet."""

    def slot_before(self, slot: datetime) -> datetime | None:
        """The fire time strictly before ``slot``, where the slot's window starts; None if ``slot`` is the first."""

    def slot_after(self, moment: datetime) -> datetime | None:
        """The earliest fire time strictly after ``moment``; None if the schedule never fires again."""

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""

    def to_json(self) -> dict[str, Any]:
        """The schedule as JSON values, from which :func:`schedule_from_json` makes an equal schedule."""


@dataclass(frozen=True)
class Every:
    """A fixed interval, counted from 2000-01-01, midnight UTC. So slots do not depend on when a process started."""

    interval: timedelta

    def slot_at(self, now: datetime) -> datetime:
        """See :class:`Schedule`."""
        now = now.astimezone(UTC)  # arithmetic in a local zone is an hour off on the day clocks change
        return now - (now - _EPOCH) % self.interval

    def slot_before(self, slot: datetime) -> datetime:
        """See :class:`Schedule`."""
        return slot.astimezone(UTC) - self.interval

    def slot_after(self, moment: datetime) -> datetime:
        """See :class:`Schedule`."""
        return self.slot_at(moment) + self.interval

    def problems(self) -> list[str]:
        """See :class:`Schedule`."""
        if not isinstance(self.interval, timedelta):
            return [f"Every({self.interval!r}): give a timedelta, or use every(minutes=10)"]
        if self.interval < timedelta(seconds=1):
            return [f"every({self.interval}) is shorter than a second: give a longer interval"]
        if self.interval > _LONGEST:
            return [f"every({self.interval}) is longer than {_LONGEST.days} days: use cron(...) or run it by hand"]
        return []

    def to_json(self) -> dict[str, Any]:
        """See :class:`Schedule`."""
        return {"every": self.interval.total_seconds()}

    def __str__(self) -> str:
        seconds = self.interval.total_seconds()
        for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
            if seconds >= length and seconds % length == 0:
                return f"every {seconds / length:g} {unit}" if seconds > length else f"every {unit[:-1]}"
        return "every second" if seconds == 1 else f"every {seconds:g} seconds"


@dataclass(frozen=True)
class Once:
    """A single moment, with its time zone."""

    at: datetime

    def slot_at(self, now: datetime) -> datetime | None:
        """See :class:`Schedule`."""
        return self.at.astimezone(UTC) if self.at <= now else None

    def slot_before(self, slot: datetime) -> datetime | None:
        """See :class:`Schedule`."""
        return self.at.astimezone(UTC) if self.at < slot else None

    def slot_after(self, moment: datetime) -> datetime | None:
        """See :class:`Schedule`."""
        return self.at.astimezone(UTC) if self.at > moment else None

    def problems(self) -> list[str]:
        """See :class:`Schedule`."""
        if not isinstance(self.at, datetime):
            return [f"once({self.at!r}): give a datetime"]
        if self.at.utcoffset() is None:
            return [f"once({self.at.isoformat()}) has no time zone: give datetime(..., tzinfo=UTC)"]
        return []

    def to_json(self) -> dict[str, Any]:
        """See :class:`Schedule`."""
        return {"once": self.at.astimezone(UTC).isoformat()}

    def __str__(self) -> str:
        return f"once at {self.at.isoformat(sep=' ')}"


@dataclass(frozen=True)
class AfterPipeline:
    """Starts a run when a run of another pipeline ends. This is an event: it has no fire times."""

    pipeline: str
    _: KW_ONLY
    #: The states in which that run may end.
    states: Sequence[str] = ("succeeded",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", as_names(self.states))

    def slot_at(self, now: datetime) -> None:
        """See :class:`Schedule`."""

    def slot_before(self, slot: datetime) -> None:
        """See :class:`Schedule`."""

    def slot_after(self, moment: datetime) -> None:
        """See :class:`Schedule`."""

    def problems(self) -> list[str]:
        """See :class:`Schedule`."""
        problems = []
        if not isinstance(self.pipeline, str) or not self.pipeline.strip():
            what = repr(self.pipeline) if isinstance(self.pipeline, str) else f"a {type(self.pipeline).__name__}"
            problems.append(f"after_pipeline({what}): give the name of a pipeline, as a text")
        if not self.states or not all(state in _STATES for state in self.states):
            problems.append(f"after_pipeline(states={self.states!r}): give some of {', '.join(_STATES)}")
        return problems

    def to_json(self) -> dict[str, Any]:
        """JSON values for people and logs. :func:`schedule_from_json` does not read them: they hold no times."""
        return {"after_pipeline": self.pipeline, "states": list(self.states)}

    def __str__(self) -> str:
        return f"after {self.pipeline} {' or '.join(self.states)}"


@names_options
def every(*, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> Every:
    """Starts a run in each interval: ``every(minutes=10)``.

    Args:
        seconds: The interval is the sum of all four, at least one second.
        minutes: See ``seconds``.
        hours: See ``seconds``.
        days: See ``seconds``.
    """
    for unit, value in (("seconds", seconds), ("minutes", minutes), ("hours", hours), ("days", days)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"every({unit}={value!r}): give a number, such as every({unit}=10)")
    return Every(timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days))


@names_options
def cron(expression: str, time_zone: str = "UTC") -> Cron:
    """Starts a run at each fire time of a cron expression: ``cron("*/30 * * * *", "Europe/Berlin")``.

    Args:
        expression: Five fields: minute, hour, day of the month, month, day of the week.
        time_zone: The zone whose wall time the expression describes.
    """
    return Cron(expression, time_zone)


@names_options
def once(at: datetime) -> Once:
    """Starts a single run: ``once(datetime(2027, 1, 1, 6, tzinfo=UTC))``.

    Args:
        at: The time of the run, with a time zone.
    """
    return Once(at)


@names_options
def rrule(rule: str, *, start: datetime | None = None, time_zone: str = "UTC") -> Rrule:
    """Starts a run at each fire time of a recurrence rule: ``rrule("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18")``.

    Args:
        rule: A rule of RFC 5545, with or without ``RRULE:``. COUNT and UNTIL end it.
        start: Where the rule starts to count (DTSTART). Without a zone it is wall time. None: Monday 2000-01-03,
            midnight.
        time_zone: The zone whose wall time the rule describes.
    """
    return Rrule(rule, start=start, time_zone=time_zone)


@names_options
def after_pipeline(name: str, *, states: Sequence[str] = ("succeeded",)) -> AfterPipeline:
    """Starts a run each time a run of another pipeline ends in one of ``states``: ``after_pipeline("features")``.

    Args:
        name: The other pipeline.
        states: Some of ``succeeded``, ``partial`` and ``failed``.
    """
    return AfterPipeline(name, states=states)


def slots_between(schedule: Schedule, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """The first ``limit`` fire times later than ``after`` and at or before ``until``, oldest first."""
    slots: list[datetime] = []
    slot = schedule.slot_after(after)
    while slot is not None and slot <= until and len(slots) < limit:
        slots.append(slot)
        slot = schedule.slot_after(slot)
    return slots


def open_start(start: datetime | None) -> datetime | None:
    """The start of a window as people and commands see it: None where it is the beginning of time."""
    return None if start is None or start <= EARLIEST else start


def window_of(schedule: Schedule, slot: datetime) -> tuple[datetime, datetime]:
    """The start and the end of a slot's window: from the fire time before the slot to the slot.

    The window of a schedule's first slot, such as that of ``once``, starts at :data:`EARLIEST`.
    """
    return schedule.slot_before(slot) or EARLIEST, slot


def schedule_from_json(value: Mapping[str, Any]) -> Schedule:
    """The schedule whose ``to_json()`` returned ``value``.

    Raises:
        ValueError: ``value`` is not a schedule, or the schedule has problems; the message says what is wrong.
    """
    kinds = [kind for kind in _READERS if isinstance(value, Mapping) and kind in value]
    if len(kinds) != 1:
        raise ValueError(f"{value!r} cannot be read as a schedule: give one of {', '.join(_READERS)}")
    read, names = _READERS[kinds[0]]
    if unknown := sorted(set(value) - names):
        raise ValueError(
            f"{', '.join(unknown)} is unknown in a schedule with {kinds[0]}: keep {', '.join(sorted(names))}"
        )
    try:
        schedule = read(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{value!r} cannot be read as a schedule: {error}") from error
    if problems := schedule.problems():
        raise ValueError("; ".join(problems))
    return schedule


def _every_of(value: Mapping[str, Any]) -> Every:
    seconds = value["every"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError("every takes a number of seconds")
    return Every(timedelta(seconds=seconds))


def _rrule_of(value: Mapping[str, Any]) -> Rrule:
    start = None if value.get("start") is None else datetime.fromisoformat(value["start"])
    return Rrule(value["rrule"], start=start, time_zone=value.get("time_zone", "UTC"))


_READERS: dict[str, tuple[Callable[[Mapping[str, Any]], Schedule], set[str]]] = {
    "every": (_every_of, {"every"}),
    "cron": (lambda value: Cron(value["cron"], value.get("time_zone", "UTC")), {"cron", "time_zone"}),
    "once": (lambda value: Once(datetime.fromisoformat(value["once"])), {"once"}),
    "rrule": (_rrule_of, {"rrule", "start", "time_zone"}),
}
