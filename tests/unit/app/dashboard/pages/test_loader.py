"""Our tabs stand in Flower's own bar."""

from pathlib import Path

import flower

from app.dashboard.pages.loader import BAR, FRAME, LIST_OF_TABS, NOT_OURS, OUR_FRAME, PageLoader

_FLOWERS = Path(flower.__file__).parent / "templates"


def test_flowers_bar_has_the_list_that_gets_our_tabs() -> None:
    """Another release of Flower may write it in another way. Then this test fails, and pages lack our tabs."""
    assert (_FLOWERS / BAR).read_text("utf-8").count(LIST_OF_TABS) == 1


def test_our_frame_is_flowers_without_what_only_flower_needs() -> None:
    """The bar's menus and the themes stay. Another release of Flower may name its files otherwise: then this fails."""
    lines = (_FLOWERS / FRAME).read_text("utf-8").splitlines()
    loaded = [line.strip() for line in lines if "static_url('" in line]
    ours = PageLoader(str(_FLOWERS)).load(OUR_FRAME).code
    kept = [line for line in loaded if line.split("static_url('")[1].split("'")[0] in ours]
    assert [name for name in NOT_OURS if not any(name in line for line in loaded)] == []
    assert [name for name in NOT_OURS if any(name in line for line in kept)] == []
    assert [
        name for name in ("theme.js", "bootstrap.min.css", "flower.css", "bootstrap.bundle.min.js") if name not in ours
    ] == []
