"""Suggestions for names that do not exist."""

import pytest

from batchord.core.text.similar import closest, meant


@pytest.mark.parametrize(
    ("name", "found"),
    [("revews", "reviews"), ("Reviews", "reviews"), ("pedict", "predict"), ("xyz", None), ("", None), (7, None)],
)
def test_the_closest_name(name: object, found: str | None) -> None:
    """It may differ by a letter or two, or by capitals."""
    assert closest(name, ["reviews", "predict", "photos"]) == found


def test_an_unknown_name_is_answered_with_what_there_is() -> None:
    """A long list is cut."""
    assert meant("photoz", ["photos", "news"], listed="there are") == "did you mean 'photos'?"
    assert meant("x", ["photos", "news"], listed="there are") == "there are: photos, news"
    assert meant("x", [], listed="there are") == "there are: none"
    assert meant("x", [f"name-{each}" for each in range(32)], listed="there are").endswith("name-29 and 2 more")
