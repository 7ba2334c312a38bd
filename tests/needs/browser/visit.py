"""A person's visit with a browser. It notes everything that a person with open developer tools would see go wrong."""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response

from tests.needs.browser.site import OPERATOR, PASSWORD, Site

Theme = Literal["light", "dark"]
PHONE, DESKTOP = 390, 1_400
#: Milliseconds that a page has to show what happens: it asks every two seconds.
SOON = 30_000
#: Findings that matter: what keeps people from using the page.
_GRAVE = {"serious", "critical"}
#: Findings in Flower's own parts, by axe's rule and the beginning of the place, each with its reason. Ours have none.
_FLOWERS: Mapping[tuple[str, str], str] = {}


@dataclass
class Visit:
    """One page of a browser over a site."""

    site: Site
    page: Page
    #: Where screenshots go.
    folder: Path
    #: What went wrong, in the order of time.
    problems: list[str] = field(default_factory=list)
    #: Requests for the live part of a page, and the status of each reply.
    refreshes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error in a script: {error}"))
        self.page.on("request", self._note_request)
        self.page.on("requestfailed", self._note_failure)
        self.page.on("response", self._note_response)

    def open(self, path: str) -> Response:
        """Opens a page of the site and waits until it is loaded."""
        response = self.page.goto(f"{self.site.address}{path}")
        assert response is not None
        return response

    @property
    def notice(self) -> Locator:
        """What the page says about the last button, if it did what it says."""
        return self.page.get_by_role("status").and_(self.page.locator(".alert-success"))

    def picture(self, name: str) -> None:
        """Keeps a screenshot of the whole page."""
        self.page.screenshot(path=self.folder / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png", full_page=True)

    def assert_fits(self) -> None:
        """The page does not scroll sideways."""
        wide: list[str] = self.page.evaluate(_TOO_WIDE)
        assert not wide, f"wider than the window: {wide}"

    def assert_accessible(self) -> None:
        """The axe engine finds nothing grave."""
        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        grave = [
            f"{rule['id']} at {node['target']}: {node['failureSummary']}"
            for rule in found
            if rule["impact"] in _GRAVE
            for node in rule["nodes"]
            if not any(rule["id"] == name and str(node["target"][0]).startswith(place) for name, place in _FLOWERS)
        ]
        assert not grave, "\n\n".join(grave)

    def assert_no_problem(self) -> None:
        """Nothing went wrong so far."""
        assert not self.problems, "\n".join(self.problems)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"console: {message.text}")

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}" != self._origin:
            self.problems.append(f"request to another host: {request.url}")

    def _note_failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the browser ends requests of a page that it leaves
            self.problems.append(f"failed request: {request.url}: {request.failure}")

    def _note_response(self, response: Response) -> None:
        if "live=1" in urlsplit(response.url).query:
            self.refreshes.append(response.status)
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    @property
    def _origin(self) -> str:
        parts = urlsplit(self.site.address)
        return f"{parts.scheme}://{parts.netloc}"


@contextmanager
def visit(
    browser: Browser,
    site: Site,
    folder: Path,
    *,
    user: str = OPERATOR,
    width: int = DESKTOP,
    theme: Theme = "light",
    caches: bool = False,
) -> Iterator[Visit]:
    """A visit by ``user``. At its end nothing may have gone wrong.

    ``caches``: whether the browser keeps a cache, as a person's does. It then sends the login without being asked:
    Playwright switches the cache off if it is to answer the question for a login.
    """
    login = f"{user}:{PASSWORD}".encode()
    known: dict[str, Any] = (
        {"extra_http_headers": {"Authorization": f"Basic {base64.b64encode(login).decode()}"}}
        if caches
        else {"http_credentials": {"username": user, "password": PASSWORD}}
    )
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Asia/Kolkata",
        **known,
    )
    visited = Visit(site, context.new_page(), folder)
    try:
        yield visited
        visited.assert_no_problem()
    except Exception as error:
        error.add_note("\n".join(["What the browser noticed:", *visited.problems]))
        raise
    finally:
        context.close()


#: The elements that reach beyond the window and are in nothing that scrolls by itself; empty if the page fits.
_TOO_WIDE = """() => {
  const room = document.documentElement;
  if (room.scrollWidth <= room.clientWidth) return [];
  const scrolls = (element) => element && element !== room && element !== document.body
    && (getComputedStyle(element).overflowX !== "visible" || scrolls(element.parentElement));
  return [`the page: ${room.scrollWidth} > ${room.clientWidth}`, ...[...document.body.querySelectorAll("*")]
    .filter((each) => each.getBoundingClientRect().right > room.clientWidth && !scrolls(each.parentElement))
    .map((each) => `${each.tagName.toLowerCase()}#${each.id}.${each.className.baseVal ?? each.className}`)];
}"""
