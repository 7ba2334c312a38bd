"""A run's id says when the run was opened."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def first_run_id(moment: datetime) -> str:
    """The least id of a run that was opened at ``moment``. All runs with lesser ids were opened earlier.

    The first 48 bits are milliseconds since 1970 (RFC 9562, UUID version 7). Raises ValueError if ``moment`` has no
    time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return str(UUID(int=max(0, milliseconds) << 80))
