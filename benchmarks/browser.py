"""Measures the pages of a server with Debian's Chromium: when something is seen, what is fetched."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

_VIEW = {"width": 1_400, "height": 900}
#: When something was painted first, in seconds since the page was asked for. Requests that the cache answers do not
#: count. A reply counts with its headers, for which the browser takes 300 bytes.
_MEASURE = """async () => {
    await new Promise((painted) => new PerformanceObserver((list) => {
        if (list.getEntriesByName("first-contentful-paint").length) painted();
    }).observe({ type: "paint", buffered: true }));
    const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    const sent = entries.filter((entry) => entry.transferSize > 0);
    return {
        painted: performance.getEntriesByName("first-contentful-paint")[0].startTime / 1000,
        answered: performance.getEntriesByType("navigation")[0].responseStart / 1000,
        requests: sent.length,
        bytes: sent.reduce((sum, entry) => sum + entry.transferSize, 0),
    };
}"""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One page was loaded."""

    #: Seconds until something was seen (first contentful paint), and until the first byte came.
    painted: float
    answered: float
    requests: int
    bytes: int


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium without a window. Raises RuntimeError if none is installed."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("This workload needs Chromium, which is not installed: apt-get install chromium.")
    # Chromium's sandbox does not work for root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def person(browser: Browser, *, login: str) -> Iterator[BrowserContext]:
    """A person with an empty cache, who is logged in as ``login``, a ``name:password``."""
    # Playwright switches the cache off if it is to answer the question for a login.
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    context = browser.new_context(viewport=_VIEW, extra_http_headers=headers)  # type: ignore[arg-type]
    try:
        yield context
    finally:
        context.close()


def load(page: Page, address: str) -> Load:
    """Loads the page at ``address`` and waits until all of it is there. Raises RuntimeError for an error's page."""
    response = page.goto(address, wait_until="load")
    if response is None or not response.ok:
        raise RuntimeError(f"{address} is not shown: {response and response.status}")
    measured: dict[str, Any] = page.evaluate(_MEASURE)
    return Load(**measured)
