"""Our tabs stand in Flower's own bar."""

from pathlib import Path

import flower

from app.dashboard.pages.loader import BAR, LIST_OF_TABS

_FLOWERS = Path(flower.__file__).parent / "templates"


def test_flowers_bar_has_the_list_that_gets_our_tabs() -> None:
    """Another release of Flower may write it in another way. Then this test fails, and pages lack our tabs."""
    assert (_FLOWERS / BAR).read_text("utf-8").count(LIST_OF_TABS) == 1
