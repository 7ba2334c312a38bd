"""Finds templates: ours beside Flower's, so that our pages extend Flower's own."""

from pathlib import Path
from typing import Any

from tornado.template import Loader, Template

from .housekeeping import SHOWN_BY
from .words import address, prefix_of

OURS = Path(__file__).with_name("templates")
#: Flower's template of the bar at the top, and the list in it that gets our tabs as its first entries.
BAR = "navbar.html"
LIST_OF_TABS = '<ul class="app-nav navbar-nav">'
#: Flower's template of its list of tasks, and the card in it that says first what the list leaves out.
TASKS = "tasks.html"
CARD_OF_TASKS = '<section class="tasks-table-card" aria-label="Tasks">'
#: Flower's frame of all pages, and our pages' own one: the same without what only Flower's tables and charts need.
FRAME = "base.html"
OUR_FRAME = "batchord/base.html"
#: They are three quarters of the bytes of a first visit.
NOT_OURS = ("datatables-", "jquery-", "moment-", "flower.js")
#: What is put behind a text of Flower's templates, by the template's name.
ADDED = {
    BAR: (LIST_OF_TABS, '{% include "batchord/tabs.html" %}'),
    TASKS: (CARD_OF_TASKS, '{% include "batchord/housekeeping.html" %}'),
}


class PageLoader(Loader):  # type: ignore[misc]
    """Loads a template from our folder, or else from Flower's, and adds our tabs to Flower's bar."""

    def __init__(self, flowers: str) -> None:
        """``flowers``: the folder of Flower's templates."""
        # Flower's own pages have the tabs too, and know nothing else of ours.
        super().__init__(flowers, namespace={"tab_address": _tab_address, "housekeeping": SHOWN_BY})

    def _create_template(self, name: str) -> Template:
        if name == OUR_FRAME:
            return Template(_without_scripts(Path(self.root, FRAME).read_text("utf-8")), name=name, loader=self)
        ours = OURS / name
        text = (ours if ours.is_file() else Path(self.root, name)).read_text("utf-8")
        if name in ADDED:
            before, added = ADDED[name]
            text = text.replace(before, before + added, 1)
        return Template(text, name=name, loader=self)


def _tab_address(handler: Any, name: str) -> str:
    return address(prefix_of(handler.application.options), name)


def _without_scripts(frame: str) -> str:
    """Flower's frame without the lines that load :data:`NOT_OURS`."""
    return "".join(
        line
        for line in frame.splitlines(keepends=True)
        if not (line.lstrip().startswith(("<script", "<link")) and any(name in line for name in NOT_OURS))
    )
