"""What Beat does once a day, and when."""

from datetime import UTC, datetime, time, timedelta

#: The audit of every pipeline, in UTC.
AUDIT = time(4, 17, tzinfo=UTC)


def next_audit(now: datetime) -> datetime:
    """When the next daily audit starts."""
    today = datetime.combine(now.astimezone(UTC).date(), AUDIT)
    return today if today > now else today + timedelta(days=1)
