"""What a run's id tells."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from uuid_utils.compat import uuid7

from batchord.core.run.run_ids import first_run_id, ids_beginning_with, is_whole_id, unique_prefix


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


def test_a_prefix_is_the_shortest_that_no_neighbour_has() -> None:
    """At least eight characters; a hyphen is never the last."""
    run_id = "01970000-1b2c-7000-8000-000000000001"
    assert unique_prefix(run_id, []) == "01970000"
    assert unique_prefix(run_id, ["01960000-0000-7000-8000-000000000000"]) == "01970000"
    assert unique_prefix(run_id, ["01970000-0000-7000-8000-000000000000"]) == "01970000-1"
    assert unique_prefix(run_id, [run_id[:-1] + "2"]) == run_id


@pytest.mark.parametrize("text", ["", "-", "xyz", "0" * 33, "0197 0000"])
def test_what_is_no_beginning_of_an_id_has_no_range(text: str) -> None:
    """The names of pipelines, most of all."""
    assert ids_beginning_with(text) is None
    assert not is_whole_id(text)


def test_the_range_of_a_prefix_holds_every_id_that_begins_so() -> None:
    """And no other."""
    assert ids_beginning_with("0197A-") == (
        "0197a000-0000-0000-0000-000000000000",
        "0197afff-ffff-ffff-ffff-ffffffffffff",
    )
    assert is_whole_id("01970000-1b2c-7000-8000-000000000001")
    assert is_whole_id("019700001b2c70008000000000000001")
    assert not is_whole_id("01970000-1b2c")
