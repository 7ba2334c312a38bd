"""Times that people write."""

from datetime import UTC, datetime

from batchord.core.errors import ConfigurationError


def moment_of(text: str) -> datetime:
    """The time in ISO 8601; UTC without an offset. Raises ConfigurationError for any other text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r:.100} cannot be read as a time: write ISO 8601, such as 2026-11-01 or 2026-11-01T06:00+01:00. "
            "Without an offset it is UTC."
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
