"""Writes numbers and times for people. What returns HTML says so."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
#: Up to this many seconds a time has a decimal.
_SHORT = 10
#: What is to be typed: commands, settings and the like stand between backticks in sentences.
_TYPED = re.compile(r"`([^`\n]+)`")


def number(value: float | None) -> str:
    """A number with thousands separators; a dash for None."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{0 if abs(value) >= _SHORT else 1}f}"


def duration(seconds: float | None) -> str:
    """A time span in its two largest units, such as ``3 min 20 s``; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < _SHORT:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, smaller, smaller_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name} {rest} {smaller_name}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def lasted(started: datetime | None, finished: datetime | None) -> str:
    """How long something took, or has taken so far; a dash before its start."""
    if started is None:
        return "-"
    return duration(max(0.0, ((finished or datetime.now(UTC)) - started).total_seconds()))


def moment(value: datetime | None) -> str:
    """HTML: a time in UTC, which the page's script shows in the reader's time zone; a dash for None."""
    if value is None:
        return "-"
    utc = value.astimezone(UTC)
    shown = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return f'<time datetime="{utc.isoformat()}" title="{shown}">{shown}</time>'


def told(text: str, *, escaped: Callable[[str], str] = escape) -> str:
    """HTML: sentences, in which what stands between backticks is code. ``escaped`` makes HTML of a text."""
    return _TYPED.sub(r"<code>\1</code>", escaped(text))
