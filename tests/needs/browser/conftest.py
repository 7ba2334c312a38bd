"""Debian's Chromium, and one site for all of these tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from app.localstack import ForkServer
from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import RunningFlower
from tests.forked_commands import ForkedCommands
from tests.needs.browser.site import FLOWER, Site, furnish
from tests.needs.browser.visit import Visit, visit

#: Where screenshots are kept: one for each page and look, those of the last run of these tests.
_PICTURES = Path(__file__).parents[3] / "build" / "browser"


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder of the screenshots."""
    _PICTURES.mkdir(parents=True, exist_ok=True)
    return _PICTURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells where the screenshots are."""
    if kept := list(_PICTURES.glob("*.png")):
        terminalreporter.write_line(f"{len(kept)} screenshots are in {_PICTURES}.")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("These tests need Chromium, which is not installed: apt-get install chromium.", pytrace=False)
    # Chromium's sandbox does not work for root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def cluster(
    create_settings: Callable[[Path], tuple[dict[str, str], str]],
    tmp_path_factory: pytest.TempPathFactory,
    fork_server: ForkServer,
    commands: ForkedCommands,
) -> Iterator[Cluster]:
    """Workers and beat over the site's pipelines."""
    folder = tmp_path_factory.mktemp("site")
    environment, database_url = create_settings(folder)
    with Cluster(environment, folder, database_url=database_url, fork_server=fork_server, commands=commands) as started:
        furnish(started)
        started.start("control", "worker", "beat")
        yield started


@pytest.fixture(scope="session")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, with runs that have ended."""
    for name in ("lengths", "marked", "killed", "picky", "mended"):
        cluster.batchord("run", name, "--wait")
    with RunningFlower(cluster, tmp_path_factory.mktemp("flower"), **FLOWER) as flower:
        yield Site(cluster=cluster, flower=flower)


@pytest.fixture(scope="session")
def prefixed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same site behind another Flower, whose addresses have a prefix."""
    with RunningFlower(cluster, tmp_path_factory.mktemp("prefixed"), prefix="/under/here", **FLOWER) as flower:
        yield Site(cluster=cluster, flower=flower)


@pytest.fixture
def visiting(browser: Browser, site: Site, pictures: Path) -> Callable[..., AbstractContextManager[Visit]]:
    """Begins a visit of the site: see :func:`tests.needs.browser.visit.visit`."""
    return partial(visit, browser, site, pictures)
