"""Every page in both themes, on a desk and on a phone: it fits, it can be used by everybody, and nothing goes wrong."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import expect

from tests.needs.browser.site import Site
from tests.needs.browser.visit import DESKTOP, PHONE, Theme, Visit

pytestmark = pytest.mark.xdist_group("browser")

#: The pages, each with what it must show. A new page gets a line here.
PAGES: dict[str, tuple[Callable[[Site], str], str]] = {
    "alerts": (lambda _: "/alerts", "Alerts"),
    "audits": (lambda _: "/audits", "Audits"),
    "history": (lambda _: "/history", "History"),
    "pipelines": (lambda _: "/pipelines", "lengths"),
    "queues": (lambda _: "/queues", "control"),
    "record": (lambda _: "/record?pipeline=picky&key=7", "picky"),
    "rejections": (lambda _: "/rejections", "model-error"),
    "run with a lost worker": (lambda site: f"/run/{site.run('killed')}", "lost"),
    "run with a rejection": (lambda site: f"/run/{site.run('picky')}", "model-error"),
    "run with labels": (lambda site: f"/run/{site.run('marked')}", "Labels"),
    "runs": (lambda _: "/runs", "killed"),
}


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_is_accessible(
    name: str, theme: Theme, width: int, site: Site, visiting: Callable[..., AbstractContextManager[Visit]]
) -> None:
    """No sideways scroll, no grave finding of axe, no error, and no request elsewhere."""
    address, shown = PAGES[name]
    with visiting(theme=theme, width=width) as visit:
        assert visit.open(address(site)).ok
        expect(visit.page.locator("main")).to_contain_text(shown)
        visit.picture(f"{name}-{theme}-{width}")
        assert visit.page.locator("html").get_attribute("data-bs-theme") == theme
        visit.assert_fits()
        visit.assert_accessible()
