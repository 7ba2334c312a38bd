"""Pictures of the pages, as README and ``docs/how-to/dashboard.md`` show them.

They are made anew by ``make pictures``, which copies them into ``docs/pictures``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from app.localstack import ForkServer
from tests.acceptance.cluster import Cluster
from tests.acceptance.flowers import RunningFlower
from tests.forked_commands import ForkedCommands
from tests.needs.browser.site import FLOWER, Site
from tests.needs.browser.visit import Theme, visit
from tests.pictures import gallery

pytestmark = pytest.mark.xdist_group("browser")
#: Pixels of a picture's width.
_WIDTH = 1_200
#: The most bytes of a picture: they are in the repository.
_MOST = 150_000


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """What is in a picture."""

    address: Callable[[Site], str]
    theme: Theme
    #: The last element that is in it.
    last: str
    shown: str
    #: Pixels below that element; none if another one of its kind follows.
    rest: int = 16


_PICTURES = {
    "pipelines": _Picture(address=lambda _: "/pipelines", theme="light", last="#pipelines", shown="sentiment@7"),
    "run": _Picture(
        address=lambda site: f"/run/{site.run('orders')}", theme="light", last="#timeline", shown="publish"
    ),
    "runs": _Picture(
        address=lambda _: "/runs", theme="dark", last="#runs tbody tr:nth-child(8)", shown="scheduled", rest=0
    ),
    "record": _Picture(
        address=lambda site: f"/record?pipeline=tickets&key={_rejected(site)}",
        theme="light",
        last=".story",
        shown="Portuguese",
    ),
}


def _rejected(site: Site) -> str:
    rows = site.cluster.sql("SELECT record_key, detail FROM batchord.rejections ORDER BY record_key::int DESC")
    (key, *_) = [key for key, detail in rows if "Portuguese" in detail] or pytest.fail(f"the rejections: {rows}")
    return str(key)


@pytest.fixture(scope="module")
def shop(
    create_settings: Callable[[Path], tuple[dict[str, str], str]],
    tmp_path_factory: pytest.TempPathFactory,
    fork_server: ForkServer,
    commands: ForkedCommands,
) -> Iterator[Site]:
    """The gallery, after its runs."""
    folder = tmp_path_factory.mktemp("shop")
    environment, database_url = create_settings(folder)
    with Cluster(environment, folder, database_url=database_url, fork_server=fork_server, commands=commands) as cluster:
        gallery.furnish(cluster)
        cluster.start("control", "worker", "worker2")
        gallery.live(cluster)
        with RunningFlower(cluster, tmp_path_factory.mktemp("shop-flower"), **FLOWER) as flower:
            yield Site(cluster=cluster, flower=flower)


@pytest.mark.parametrize("name", _PICTURES)
def test_a_picture_is_made(name: str, shop: Site, browser: Browser, pictures: Path) -> None:
    """It shows what it should, is small, and names nothing of the machine that made it."""
    wanted, file = _PICTURES[name], pictures / f"picture-{name}.png"
    with visit(browser, shop, pictures, width=_WIDTH, theme=wanted.theme) as visited:
        assert visited.open(wanted.address(shop)).ok
        main = visited.page.locator("main")
        expect(main).to_contain_text(wanted.shown)
        last = visited.page.locator(wanted.last).last.bounding_box()
        assert last is not None
        clip = {"x": 0.0, "y": 0.0, "width": float(_WIDTH), "height": last["y"] + last["height"] + wanted.rest}
        visited.page.screenshot(path=file, full_page=True, clip=clip)  # type: ignore[arg-type]
        assert str(shop.cluster.folder) not in main.inner_text()
        visited.assert_fits()
        visited.assert_accessible()
    assert file.stat().st_size < _MOST
