"""What a run's id tells."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from uuid_utils.compat import uuid7

from batchord.core.run.run_ids import first_run_id


def test_ids_sort_by_the_time_of_their_run() -> None:
    """An id made now lies between the first ones of a moment ago and of a moment to come."""
    before = datetime.now(UTC)
    made = str(uuid7())
    after = datetime.now(UTC) + timedelta(milliseconds=1)

    assert first_run_id(before) <= made < first_run_id(after)


def test_the_zone_does_not_matter_and_must_be_there() -> None:
    """Noon is noon."""
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert first_run_id(noon) == first_run_id(noon.astimezone(timezone(timedelta(hours=5))))
    assert first_run_id(datetime(1960, 1, 1, tzinfo=UTC)) == "00000000-0000-0000-0000-000000000000"
    with pytest.raises(ValueError, match="time zone"):
        first_run_id(noon.replace(tzinfo=None))
