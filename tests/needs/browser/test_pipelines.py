"""What people do on the first page."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Locator, expect

from batchord.core.run.runs import RunState
from tests.needs.browser.site import MARKUP, ODD, OPERATOR, VIEWER, Site
from tests.needs.browser.visit import SOON, Visit, visit
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("browser")
Visiting = Callable[..., AbstractContextManager[Visit]]


def _row(visit: Visit, pipeline: str) -> Locator:
    return visit.page.get_by_role("row").filter(has=visit.page.get_by_role("link", name=pipeline, exact=True))


def test_nobody_sees_a_page_without_a_login(browser: Browser, site: Site) -> None:
    """The browser asks for a name and a password, and has nothing to show."""
    with browser.new_context() as stranger:
        page = stranger.new_page()
        with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
            page.goto(f"{site.address}/pipelines")
    with browser.new_context(http_credentials={"username": OPERATOR, "password": "wrong"}) as stranger:
        response = stranger.new_page().goto(f"{site.address}/pipelines")
        assert response is not None
        assert response.status == 401
        assert "batchord status --password" in response.text()


def test_the_first_page_shows_all_pipelines(visiting: Visiting) -> None:
    """After the login, with the newest runs, the schedule and the model of each, in the reader's time zone."""
    with visiting() as visit:
        visit.open("/")
        assert visit.page.url.endswith("/pipelines")
        for name in ("lengths", "held", "marked"):
            expect(_row(visit, name)).to_be_visible()
        row = _row(visit, "lengths")
        expect(row).to_contain_text("by hand")
        expect(row).to_contain_text("succeeded")
        expect(row.get_by_role("group", name="The last 1 run of lengths: 1 succeeded")).to_be_visible()
        next_slot = _row(visit, "marked").locator("time").first
        assert str(next_slot.get_attribute("title")).endswith("04:00:00 UTC")
        assert "09:30:00" in next_slot.inner_text(), "04:00 UTC is 09:30 in the zone of this browser"


def test_a_run_is_started_and_followed_to_its_end(site: Site, visiting: Visiting) -> None:
    """Run now, then the row of the pipeline tells how it goes. The page is never loaded again."""
    site.hold()
    with visiting() as visit:
        visit.open("/pipelines")
        _row(visit, "held").get_by_role("button", name="Run now").click()
        visit.page.wait_for_url("**/run/*")
        expect(visit.notice).to_have_text("A run of held was started.")
        visit.open("/pipelines")
        expect(_row(visit, "held").get_by_text("running", exact=True)).to_be_visible(timeout=SOON)
        visit.page.evaluate("window.isTheSamePage = true")
        visit.picture("a-run-at-work")
        site.let_go()
        expect(_row(visit, "held").get_by_text(RunState.SUCCEEDED, exact=True)).to_be_visible(timeout=SOON)
        assert visit.page.evaluate("window.isTheSamePage")
    (run,) = site.cluster.runs("held")
    assert (run["state"], run["trigger"], run["predicted"]) == ("succeeded", "flower", 20)
    assert _newest_change(site, "held") == ("run", OPERATOR)


def test_a_pipeline_is_paused_and_resumed(site: Site, visiting: Visiting) -> None:
    """The page and the history name who did it, whatever the name is."""
    with visiting(user=ODD) as visit:
        visit.open("/pipelines")
        row = _row(visit, "lengths")
        row.get_by_role("button", name="Pause").click()
        expect(visit.notice).to_have_text("lengths is paused.")
        expect(row).to_contain_text(f"by {ODD}")
        assert _newest_change(site, "lengths") == ("pause", ODD)
        visit.page.reload()
        expect(visit.notice).to_have_count(0)
        row.get_by_role("button", name="Resume").click()
        expect(visit.notice).to_have_text("lengths is not paused.")
        expect(row.get_by_role("button", name="Pause")).to_be_visible()
        assert _newest_change(site, "lengths") == ("resume", ODD)


def test_markup_is_shown_as_text(site: Site, visiting: Visiting) -> None:
    """In a model's version, a label, an error of a model, and the problem of a file. No element comes of it."""
    with visiting() as visit:
        for pipeline in ("marked", "picky"):
            visit.open(f"/run/{site.run(pipeline)}")
            assert MARKUP in str(visit.page.locator("main").text_content())
            assert visit.page.locator(".injected").count() == 0
        visit.open("/pipelines")
        expect(_row(visit, "marked")).to_contain_text(MARKUP)
        expect(visit.page.get_by_role("status").filter(has_text="wrong.py")).to_contain_text(MARKUP)
        assert visit.page.locator(".injected").count() == 0


def test_viewers_see_no_button(visiting: Visiting) -> None:
    """They see everything else."""
    with visiting(user=VIEWER) as visit:
        visit.open("/pipelines")
        expect(_row(visit, "lengths")).to_be_visible()
        assert visit.page.locator("main").get_by_role("button").count() == 0


def test_a_page_works_under_a_prefix(browser: Browser, prefixed: Site, pictures: Path) -> None:
    """Styles, links, buttons and the refresh, as without one."""
    with visit(browser, prefixed, pictures) as visited:
        visited.page.clock.install()
        visited.open("/")
        assert visited.page.url == f"{prefixed.address}/pipelines"
        for link in visited.page.locator("nav a, main a").all():
            target = str(link.get_attribute("href"))
            assert target.startswith(("/under/here/", "https://")), target
        visited.page.clock.run_for(16_000)
        wait_until(lambda: _answered(visited), description="the page asks again")
        row = _row(visited, "marked")
        row.get_by_role("button", name="Pause").click()
        expect(visited.notice).to_have_text("marked is paused.")
        row.get_by_role("button", name="Resume").click()
        expect(visited.notice).to_have_text("marked is not paused.")


def test_a_page_at_rest_costs_little_and_a_hidden_one_nothing(visiting: Visiting) -> None:
    """Four questions a minute, whose answers need not travel; none while no one sees it; one at once after that."""
    with visiting(caches=True) as visit:
        statuses: list[int] = []
        visit.page.clock.install()
        visit.open("/pipelines")
        visit.page.evaluate(_COUNT_CHANGES)
        network = visit.page.context.new_cdp_session(visit.page)
        network.send("Network.enable")
        # What went over the wire: Playwright itself tells what the browser made of it, with its cache.
        network.on("Network.responseReceivedExtraInfo", lambda reply: statuses.append(reply["statusCode"]))
        for count in range(1, 5):
            visit.page.clock.run_for(15_000)
            wait_until(lambda count=count: _answered(visit) >= count, description=f"{count} answers")  # type: ignore[misc]
        assert _answered(visit) == 4
        visit.page.evaluate(_SET_VISIBILITY, "hidden")
        visit.page.clock.run_for(3_600_000)
        visit.page.evaluate(_SET_VISIBILITY, "visible")
        wait_until(lambda: _answered(visit) >= 5, description="an answer at once")
        assert statuses == [200, 304, 304, 304, 304], "unchanged answers do not travel"
        assert visit.page.evaluate("window.changes") <= 1, "an unchanged part is not drawn again"


def _answered(visit: Visit) -> int:
    visit.page.evaluate("0")  # lets the browser tell of its requests
    return len(visit.refreshes)


def _newest_change(site: Site, pipeline: str) -> tuple[str, str]:
    said = site.cluster.batchord("history", "--pipeline", pipeline, "--json").stdout
    newest = json.loads(said)[0]
    return newest["action"], newest["user"]


_COUNT_CHANGES = """() => {
  window.changes = 0;
  new MutationObserver(() => { window.changes += 1; }).observe(document.getElementById("live"), { childList: true });
}"""
#: Tells the page that its tab is hidden, or seen again.
_SET_VISIBILITY = """(state) => {
  Object.defineProperty(document, "hidden", { get: () => state === "hidden", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
