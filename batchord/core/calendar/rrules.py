"""Reads the text of a recurrence rule (RFC 5545, section 3.3.10) strictly into its parts.

dateutil silently accepts values out of their range, and parts that mean nothing for the rule's frequency. Such a rule
would fire at other times than its author thinks.
"""

import re
from collections.abc import Mapping

#: The greatest COUNT of a rule: all its fire times are kept in memory.
MOST_COUNTED = 10_000
FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: Parts that say which days. A rule without any of them takes the day of its start.
DAY_PARTS = ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY")

#: The least and the greatest value of each part. A negative value counts from the end.
_RANGES = {
    "BYSETPOS": (-366, 366),
    "BYMONTH": (1, 12),
    "BYWEEKNO": (-53, 53),
    "BYYEARDAY": (-366, 366),
    "BYMONTHDAY": (-31, 31),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
    "BYSECOND": (0, 59),
}
_LIMITS = {"INTERVAL": 1000, "COUNT": MOST_COUNTED}
_PARTS = {"FREQ", "UNTIL", "WKST", "BYDAY", *_RANGES, *_LIMITS}
_UNTIL = re.compile(r"\d{8}T\d{6}Z?")
_NUMBER = re.compile(r"[+-]?\d{1,3}")
_DAY = re.compile(rf"([+-]?[1-9]\d?)?({'|'.join(DAYS)})")


def rule_parts(text: str) -> dict[str, str]:
    """The parts of an RRULE by their names, in upper case. The text may begin with ``RRULE:``.

    Raises:
        ValueError: The text is not a rule, or not one that a schedule can have; the message says what to give.
    """
    parts: dict[str, str] = {}
    for item in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, _, value = item.partition("=")
        if name not in _PARTS or not value:
            raise ValueError(f"{item!r} cannot be part of a rule: give a rule such as FREQ=WEEKLY;BYDAY=MO;BYHOUR=9")
        if name in parts:
            raise ValueError(f"{name} is given twice: keep one")
        parts[name] = value
    _check_frequency(parts)
    _check_ends(parts)
    _check_values(parts)
    return parts


def _check_frequency(parts: Mapping[str, str]) -> None:
    frequency = parts.get("FREQ")
    if frequency in ("MINUTELY", "SECONDLY"):
        unit = "minutes" if frequency == "MINUTELY" else "seconds"
        raise ValueError(f"FREQ={frequency} is too short for a calendar rule: use every({unit}=...)")
    if frequency not in FREQUENCIES:
        raise ValueError(f"FREQ must be one of {', '.join(FREQUENCIES)}")
    for name, most in _LIMITS.items():
        value = parts.get(name, "1")
        if not re.fullmatch(r"\d{1,9}", value) or not 1 <= int(value) <= most:
            raise ValueError(f"{name}={value} must be a whole number from 1 to {most}")


def _check_ends(parts: Mapping[str, str]) -> None:
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("both COUNT and UNTIL are given: keep one")
    # A date alone is ambiguous: dateutil takes it for the day's first moment, most readers for its last.
    if "UNTIL" in parts and not _UNTIL.fullmatch(parts["UNTIL"]):
        raise ValueError(f"UNTIL={parts['UNTIL']} needs a time: give UNTIL=20301231T235959, with a final Z for UTC")


def _check_values(parts: Mapping[str, str]) -> None:
    for name, (least, most) in _RANGES.items():
        for value in parts[name].split(",") if name in parts else ():
            if not _NUMBER.fullmatch(value) or not least <= int(value) <= most or (least != 0 and int(value) == 0):
                raise ValueError(f"{name}={value} must be a whole number from {least} to {most}")
    days = [_DAY.fullmatch(value) for value in parts["BYDAY"].split(",")] if "BYDAY" in parts else []
    if not all(days) or parts.get("WKST", "MO") not in DAYS:
        raise ValueError(f"BYDAY and WKST take the days {', '.join(DAYS)}")
    if parts["FREQ"] not in ("MONTHLY", "YEARLY") and any(day and day[1] for day in days):
        raise ValueError(f"BYDAY={parts['BYDAY']}: a number before a day is for FREQ=MONTHLY and FREQ=YEARLY")
