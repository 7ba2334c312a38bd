"""Durations between times of the ledger."""

from datetime import datetime


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from ``start`` to ``end``, at least 0 even if the clock stepped back; None if one is missing."""
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())
