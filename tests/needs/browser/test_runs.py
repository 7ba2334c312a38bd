"""What people do on the pages of runs and of rejections."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Dialog, expect

from tests.needs.browser.site import MARKUP, Site
from tests.needs.browser.visit import SOON, Visit

pytestmark = pytest.mark.xdist_group("browser")
Visiting = Callable[..., AbstractContextManager[Visit]]


def test_the_attempts_of_a_killed_shard_are_found(site: Site, visiting: Visiting) -> None:
    """From the list of runs to the run, to the attempt that lost its worker, and to what the next one printed."""
    with visiting() as visit:
        visit.open("/runs")
        visit.page.locator(f'main a[href*="/run/{site.run("killed")}"]').first.click()
        troubles = visit.page.get_by_role("region", name="Attempts in trouble")
        expect(troubles.get_by_text("lost", exact=True)).to_be_visible()
        visit.page.get_by_text("The same as a table: ").click()
        attempts = visit.page.get_by_role("region", name="Attempts", exact=True)
        attempts.get_by_role("link", name="predict/0 #1").click()
        expect(visit.page.get_by_text("predict/0 #1 on ").last).to_contain_text("lost")
        visit.picture("a-lost-attempt")
        if not attempts.is_visible():
            visit.page.get_by_text("The same as a table: ").click()
        attempts.get_by_role("link", name="predict/0 #2").click()
        expect(visit.page.get_by_text("predict/0 #2 on ").last).to_contain_text("done")
        expect(visit.page.get_by_role("log")).to_contain_text(MARKUP)


def test_the_log_of_a_run_is_followed(site: Site, visiting: Visiting) -> None:
    """Lines come without a reload, up to the run's end."""
    site.cluster.insert_notes(1)
    site.hold()
    try:
        site.cluster.batchord("run", "held")
        with visiting() as visit:
            visit.open(f"/run/{site.run('held')}")
            visit.page.evaluate("window.isTheSamePage = true")
            expect(visit.page.get_by_role("log")).to_contain_text("at the gate", timeout=SOON)
            expect(visit.page.get_by_role("log")).not_to_contain_text("past the gate")
            site.let_go()
            expect(visit.page.get_by_role("log")).to_contain_text("past the gate", timeout=SOON)
            expect(visit.page.locator("main .mark-succeeded").first).to_be_visible(timeout=SOON)
            assert visit.page.evaluate("window.isTheSamePage")
    finally:
        site.let_go()


def test_a_rejected_record_is_retried(site: Site, visiting: Visiting) -> None:
    """The browser asks first; a person who says no changes nothing. After a fix the record is predicted."""
    with visiting() as visit:
        answers = iter([False, True])
        asked: list[str] = []

        def answer(dialog: Dialog) -> None:
            asked.append(dialog.message)
            dialog.accept() if next(answers) else dialog.dismiss()

        visit.page.on("dialog", answer)
        visit.open("/rejections?pipeline=mended")
        newest = visit.page.get_by_role("region", name="Newest rejections")
        row = newest.get_by_role("row").filter(has=visit.page.get_by_role("link", name="7", exact=True))
        expect(row).to_contain_text(MARKUP)
        row.get_by_role("button", name="Retry").click()
        expect(row).to_be_visible()
        assert site.cluster.sql("SELECT count(*) FROM batchord.rejections WHERE pipeline = 'mended'") == [(1,)]
        site.mend()
        row.get_by_role("button", name="Retry").click()
        expect(visit.notice).to_be_visible()
        assert len(asked) == 2
        assert asked[0].startswith("Predict this record again?")
        visit.open("/pipelines")
        visit.open("/rejections?pipeline=mended")
        expect(visit.page.locator("main")).to_contain_text("No rejection matches")
        site.cluster.wait_for_records("notes", "mended")
        predicted = "SELECT count(*) FROM batchord.predictions WHERE pipeline = 'mended' AND record_key = '7'"
        assert site.cluster.sql(predicted) == [(1,)]
