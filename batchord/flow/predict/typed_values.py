"""Writes single values of a model's output as texts for columns with a type, or says why they do not fit."""

import json
import math
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, TypeVar
from uuid import UUID

from batchord.core.declared.checks import kind_of
from batchord.core.errors import DataError
from batchord.core.reasons import Reason
from batchord.core.run.key_columns import bounds
from batchord.core.run.output_types import OutputType
from batchord.core.run.records import storable

#: What PostgreSQL's ``numeric`` holds: digits before and behind the point.
_MOST_DIGITS, _MOST_PLACES = 131_072, 16_383
#: The most bits of a whole number: Python refuses to write many more as text.
_MOST_BITS = 14_000
_MIDNIGHT = time()

T = TypeVar("T")
#: Writes a value that is not missing. Raises DataError.
Write = Callable[[Any], str]


def unfitting(detail: str) -> DataError:
    """The error of a value that does not fit."""
    return DataError(Reason.UNFITTING_OUTPUT, detail)


def writer_for(kind: OutputType, *, as_json: Callable[[Any], Any]) -> Write:
    """How single values of the type, or of the members of such a list, are written. ``as_json``: for JSON."""
    base, sizes = kind.base, kind.sizes
    if base in ("json", "jsonb"):
        return lambda value: json.dumps(as_json(value), allow_nan=False)
    if bounds(base) is not None:
        return lambda value: _whole(value, base)
    if base == "numeric":
        return lambda value: _numeric(value, sizes)
    if base == "character varying" and sizes:
        return lambda value: _text(value, sizes[0])
    return _WRITERS[base]


def _boolean(value: Any) -> str:
    if not isinstance(value, bool):
        raise unfitting(f"{kind_of(value)} is no boolean")
    return "t" if value else "f"


def _whole(value: Any, base: str) -> str:
    number = int(value) if isinstance(value, float | Decimal) and value == value // 1 else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise unfitting(f"{_shown(value)} is no whole number")
    least, greatest = bounds(base) or (0, 0)
    if not least <= number <= greatest:
        raise unfitting(f"{_shown(number)} is beyond the range of {base}")
    return str(number)


def as_float(value: Any) -> float:
    """A finite number. Raises DataError."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise unfitting(f"{kind_of(value)} is no number")
    try:
        number = float(value)
    except OverflowError:
        raise unfitting("the number is beyond the range of double precision") from None
    if not math.isfinite(number):
        raise unfitting(f"it is {number}")
    return number


def _double(value: Any) -> str:
    return repr(as_float(value))


def _real(value: Any) -> str:
    try:
        # PostgreSQL refuses a number that would become 0, such as 1e-60; here it does.
        (narrow,) = struct.unpack("<f", struct.pack("<f", as_float(value)))
    except OverflowError:
        raise unfitting(f"{_shown(value)} is beyond the range of real") from None
    return f"{narrow:.9g}"


def _numeric(value: Any, sizes: tuple[int, ...]) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise unfitting(f"{kind_of(value)} is no number")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise unfitting("a number of more than 4,000 digits is too long")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise unfitting(f"it is {number}")
    if not sizes:
        exponent = number.as_tuple().exponent
        if number.adjusted() >= _MOST_DIGITS or (isinstance(exponent, int) and -exponent > _MOST_PLACES):
            raise unfitting("the number is beyond the range of numeric")
        return str(number)
    digits, places = sizes
    with localcontext() as context:
        context.prec, context.rounding = 2 * _MOST_DIGITS, "ROUND_HALF_UP"  # as PostgreSQL rounds
        try:
            rounded = number.quantize(Decimal(1).scaleb(-places))
        except InvalidOperation:
            rounded = Decimal("Infinity")
        if not abs(rounded) < Decimal(1).scaleb(digits - places):
            raise unfitting(f"{_shown(value)} has more than {digits - places} digits before the point")
    return str(rounded)


def _text(value: Any, most: int | None = None) -> str:
    if not isinstance(value, str):
        raise unfitting(f"{kind_of(value)} is no text")
    text = storable(value)
    if most is not None and len(text) > most:
        raise unfitting(f"the text has {len(text)} characters, more than {most}")
    return text


def _date(value: Any) -> str:
    if isinstance(value, str):
        return _iso(date.fromisoformat, value, "date").isoformat()
    if isinstance(value, datetime) and value.tzinfo is None and value.time() == _MIDNIGHT:  # as pandas has dates
        return value.date().isoformat()
    if isinstance(value, datetime) or not isinstance(value, date):
        raise unfitting(f"{_shown(value)} is no date")
    return value.isoformat()


def _time(value: Any) -> str:
    moment = _iso(time.fromisoformat, value, "time") if isinstance(value, str) else value
    if not isinstance(moment, time):
        raise unfitting(f"{_shown(value)} is no time of day")
    if moment.tzinfo is not None:
        raise unfitting(f"{_shown(value)} has a time zone")
    return moment.isoformat()


def _moment(value: Any) -> datetime:
    moment = _iso(datetime.fromisoformat, value, "time") if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise unfitting(f"{_shown(value)} is no date with a time")
    return moment


def _timestamp(value: Any) -> str:
    moment = _moment(value)
    if moment.tzinfo is not None:
        raise unfitting(f"{_shown(value)} has a time zone: declare timestamptz")
    return moment.isoformat(" ")


def _timestamptz(value: Any) -> str:
    moment = _moment(value)
    if moment.utcoffset() is None:
        raise unfitting(f"{_shown(value)} has no time zone: declare timestamp, or let the model return one with a zone")
    return moment.isoformat(" ")


def _interval(value: Any) -> str:
    if not isinstance(value, timedelta):
        raise unfitting(f"{_shown(value)} is no timedelta")
    return f"P{value.days}DT{value.seconds}.{value.microseconds:06d}S"


def _uuid(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        raise unfitting(f"{kind_of(value)} is no uuid")
    return str(_iso(UUID, value, "uuid"))


def _bytes(value: Any) -> str:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise unfitting(f"{kind_of(value)} is no bytes")
    return f"\\x{bytes(value).hex()}"


def _iso(read: Callable[[str], T], text: str, what: str) -> T:
    try:
        return read(text)
    except ValueError:
        raise unfitting(f"{_shown(text)} is no {what}") from None


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "a number of more than 4,000 digits"
    text = storable(str(value))
    return text if len(text) <= 60 else f"{text[:60]} …"  # noqa: PLR2004 -- enough to recognise it


_WRITERS: dict[str, Write] = {
    "boolean": _boolean,
    "real": _real,
    "double precision": _double,
    "text": _text,
    "character varying": _text,
    "date": _date,
    "time without time zone": _time,
    "timestamp without time zone": _timestamp,
    "timestamp with time zone": _timestamptz,
    "interval": _interval,
    "uuid": _uuid,
    "bytea": _bytes,
}
