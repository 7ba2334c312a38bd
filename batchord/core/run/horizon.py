"""The horizon: the greatest position that a record can have at present.

Positions that come from a clock are written in many ways: as seconds since 1970 or their thousandths, as texts, as
ULIDs. A record whose clock was wrong, or that has the greatest value of its type, must not move the frontier:
everything that arrives afterwards would lie below the frontier, where no run looks.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from batchord.core.run.records import Position, Scalar
from batchord.core.text.counts import counted

#: The most strays, where the numbers may be ids as well as times. If more records lie beyond the horizon, the numbers
#: are ids.
MOST_STRAYS = 10_000

#: Strays are counted up to this number.
MOST_COUNTED = 1000

#: Up to which number seconds since 1970 and their thousandths, millionths and billionths are taken for such.
_UNITS = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9))
#: A time in 1973, in seconds. Smaller numbers may be ids.
_EARLIEST = 10**8
#: Units in which a number may also be an id: ids can be as large as seconds. Ids that hold a time and a machine
#: ("snowflakes") are as large as billionths.
_LIKE_IDS = (1, 10**9)
_GREATEST_NUMBER = 2**63 - 1
#: Greater than any number in use, but less than infinity.
_FINITE = 10**300

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:(?P<separator>[ T])\d\d:\d\d.*)?", re.DOTALL)
_COMPACT = re.compile(r"(?P<date>(?:19|20)\d{6})(?P<separator>[T_-]?)(?P<time>\d{6})?")
_COUNTED = re.compile(r"\d{10}|\d{13}|\d{16}|\d{19}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE)
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_BY_TIME = 7


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """A possible limit between the present and strays, for one way to write positions."""

    #: The greatest value that a record can have at present.
    limit: Scalar
    #: Gets the greatest value at or below the limit (None if there is none). Returns whether it is written that way, so
    #: that the limit is right.
    fits: Callable[[Any], bool]
    #: Gets the same value. Returns whether the values may be ids instead of times, if many lie beyond the limit.
    ids: Callable[[Any], bool] | None = None


def horizons(value: Scalar, now: datetime) -> Iterator[Horizon]:
    """The possible horizons of a source whose greatest value is ``value``, likeliest first; none if it is no stray.

    All limits are below ``value``. There are only a few kinds of strays, so a search that asks again for each limit
    comes to an end.
    """
    for horizon in _horizons(value, now):
        try:
            below = bool(horizon.limit < value) or value != value  # type: ignore[operator]  # noqa: PLR0124 -- NaN
        except (TypeError, ArithmeticError):
            below = True  # a decimal NaN cannot be compared
        if below:
            yield horizon


def _horizons(value: Scalar, now: datetime) -> Iterator[Horizon]:
    if isinstance(value, int | float | Decimal):
        yield from _numbers(value, now)
    elif isinstance(value, str):
        yield from _texts(value, now)
    elif isinstance(value, UUID):
        yield Horizon(limit=UUID(_uuid7(now)), fits=_anything if value.version == _BY_TIME else _is_uuid7)
    elif isinstance(value, datetime):
        yield Horizon(limit=now if value.tzinfo is not None else now.replace(tzinfo=None), fits=_anything)
    elif isinstance(value, date):
        yield Horizon(limit=now.date(), fits=_anything)


def _is_uuid7(lower: Any) -> bool:
    return isinstance(lower, UUID) and lower.version == _BY_TIME


def _numbers(value: float | Decimal, now: datetime) -> Iterator[Horizon]:
    kind = type(value)
    if not isinstance(value, int) and not math.isfinite(value):
        yield Horizon(limit=kind(_FINITE), fits=_anything)
    elif value == _GREATEST_NUMBER:  # nothing can follow it
        yield Horizon(limit=kind(_GREATEST_NUMBER - 1), fits=_anything)
    else:
        unit = next((unit for end, unit in _UNITS if value < end), _UNITS[-1][1])
        yield Horizon(
            limit=kind(int(now.timestamp() * unit)),
            # If no number lies at or below the limit, the numbers may not be times. A later run sees it when one comes.
            fits=lambda lower: lower is not None,
            ids=lambda lower: unit in _LIKE_IDS or lower < _EARLIEST * unit,
        )


def _texts(value: str, now: datetime) -> Iterator[Horizon]:
    shape = _shape(value)
    if shape is not None:
        yield Horizon(limit=shape(now), fits=_anything)
        return
    # The text is not a time but, say, "infinity" or "n/a": it may be a stray among times.
    ulid = _ulid(now)
    for limit in (f"{now:%Y-%m-%dT%H:%M:%S}", f"{now:%Y-%m-%d}", ulid, ulid.lower(), _uuid7(now)):
        yield Horizon(limit=limit, fits=_is_time)


def _is_time(lower: Any) -> bool:
    return isinstance(lower, str) and _shape(lower) is not None


def _shape(text: str) -> Callable[[datetime], str] | None:
    """A function that writes a time in the same way as ``text``; None if ``text`` is not a time."""
    if match := _TIME.fullmatch(text):
        separator = match["separator"]
        return lambda now: f"{now:%Y-%m-%d}" if separator is None else f"{now:%Y-%m-%d}{separator}{now:%H:%M:%S}"
    if match := _COMPACT.fullmatch(text):
        separator, has_time = match["separator"], match["time"] is not None
        return lambda now: f"{now:%Y%m%d}{separator}" + (f"{now:%H%M%S}" if has_time else "")
    if _COUNTED.fullmatch(text):
        unit = 10 ** (len(text) - 10)
        return lambda now: str(int(now.timestamp() * unit))
    if _ULID.fullmatch(text):
        return lambda now: _ulid(now).lower() if text.lower() == text else _ulid(now)
    if _UUID7.fullmatch(text):
        return lambda now: _uuid7(now).upper() if text.upper() == text else _uuid7(now)
    return None


def _milliseconds(now: datetime) -> int:
    return int(now.timestamp() * 1000)


def _ulid(now: datetime) -> str:
    """The greatest ULID of that millisecond: https://github.com/ulid/spec."""
    value = (_milliseconds(now) << _RANDOM_BITS) | ((1 << _RANDOM_BITS) - 1)
    return "".join(_BASE32[value >> shift & 31] for shift in range(125, -1, -5))


def _uuid7(now: datetime) -> str:
    """The greatest UUID of version 7 of that millisecond: RFC 9562."""
    head = f"{_milliseconds(now):012x}"
    return f"{head[:8]}-{head[8:]}-7fff-bfff-ffffffffffff"


def _anything(_lower: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Stray:
    """The greatest record beyond the horizon, for people: the frontier stays below it, though it is predicted."""

    key: str
    position: str
    #: Records beyond the horizon, this one among them; :data:`MOST_COUNTED` stands for so many and more.
    count: int = 1

    def __str__(self) -> str:
        which = f"The record {self.key} has the position {self.position}, which is beyond all that can arrive now."
        if self.count == 1:
            return (
                f"{which} The frontier stays below this record, and each run reads all records above the frontier "
                "again. Correct the record, or leave it out of the source."
            )
        least = "At least " if self.count >= MOST_COUNTED else ""
        number = counted(self.count, "record")
        return (
            f"{which} {least}{number} have such positions, this one the greatest. The frontier stays below these "
            "records, and each run reads all records above the frontier again. Correct the records, or leave them out "
            "of the source."
        )


@dataclass(frozen=True, kw_only=True)
class Present:
    """The greatest position of a source that is not a stray."""

    greatest: Position | None
    #: The limit that was used as the horizon; None if nothing lies beyond it.
    limit: Scalar | None = None
    stray: Stray | None = None


def leading(position: Position) -> Scalar:
    """The value that orders positions first: the arrival if there is one, otherwise the key."""
    return position.key if position.arrival is None else position.arrival


def greatest_of_the_present(
    greatest: Callable[[Scalar | None], Position | None],
    many_beyond: Callable[[Scalar], bool],
    *,
    ceiling: Scalar | None,
    now: datetime,
    value_of: Callable[[Position], Scalar] = leading,
) -> Present:
    """The greatest position that is not a stray.

    Args:
        greatest: Asks the source for the greatest position at or below a limit; None for no limit.
        many_beyond: Asks the source whether more than :data:`MOST_STRAYS` records lie beyond a limit.
        ceiling: The limit, if the source knows it.
        now: The time by the source's clock.
        value_of: Returns the value that orders a position, if the position itself does not hold that value.
    """
    highest = top = greatest(None)
    limit: Scalar | None = None
    if ceiling is not None and top is not None:
        if value_of(top) > ceiling:  # type: ignore[operator]
            top, limit = greatest(ceiling), ceiling
    else:
        while top is not None and (lower := _lower(greatest, many_beyond, top, now, value_of)) is not None:
            top, limit = lower.greatest, lower.limit
    if highest is None or limit is None:
        return Present(greatest=top)
    return Present(greatest=top, limit=limit, stray=Stray(key=str(highest.key), position=str(leading(highest))))


def _lower(
    greatest: Callable[[Scalar | None], Position | None],
    many_beyond: Callable[[Scalar], bool],
    top: Position,
    now: datetime,
    value_of: Callable[[Position], Scalar],
) -> Present | None:
    for horizon in horizons(value_of(top), now):
        lower = greatest(horizon.limit)
        lower_value = None if lower is None else value_of(lower)
        if horizon.fits(lower_value) and not (horizon.ids and horizon.ids(lower_value) and many_beyond(horizon.limit)):
            return Present(greatest=lower, limit=horizon.limit)
    return None
