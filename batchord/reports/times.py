"""How long things took."""

from datetime import datetime


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Not below zero if the clock stepped back; None while it is not over."""
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())
