"""README and docs are executed, line by line: see CONTRIBUTING, "Pages"."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.localstack import stop_background
from tests.folders import servers_folder
from tests.pages.journey import Journey
from tests.pages.marks import Verb
from tests.pages.named import pages
from tests.pages.page import ROOT, blocks

#: Pages that follow each other in one shell, in the order of README's list. Each begins with the stack and the files
#: that the pages before it left.
JOURNEYS = {
    "README": ["README.md"],
    "notebook": ["docs/how-to/notebook-to-pipeline.md", "docs/how-to/use-predictions.md"],
    "roles": ["docs/how-to/roles.md"],
    "shop": [
        "docs/quickstart.md",
        "docs/concepts.md",
        "docs/glossary.md",
        "docs/reliability.md",
        "docs/benchmarks.md",
        "docs/how-to/write-a-source.md",
        "docs/how-to/choose-a-model.md",
        "docs/how-to/own-kind.md",
        "docs/how-to/images.md",
        "docs/how-to/compose.md",
        "docs/how-to/systemd.md",
        "docs/how-to/graphs.md",
        "docs/how-to/schedules.md",
        "docs/how-to/logs.md",
        "docs/how-to/alerts.md",
        "docs/how-to/dashboard.md",
        "docs/how-to/monitoring.md",
        "docs/how-to/upgrade.md",
        "docs/reference/pipelines.md",
        "docs/reference/commands.md",
        "docs/reference/settings.md",
        "docs/reference/ledger.md",
        "docs/security.md",
    ],
}

#: How many blocks of each page nobody executes, each with its reason on the page. A new block is executed, unless its
#: author marks it and counts it here.
SKIPPED = {
    "README.md": 3,
    "docs/benchmarks.md": 1,
    "docs/concepts.md": 1,
    "docs/how-to/alerts.md": 1,
    "docs/how-to/compose.md": 6,
    "docs/how-to/dashboard.md": 1,
    "docs/how-to/graphs.md": 1,
    "docs/how-to/logs.md": 1,
    "docs/how-to/monitoring.md": 2,
    "docs/how-to/systemd.md": 13,
    "docs/how-to/write-a-source.md": 1,
    "docs/quickstart.md": 3,
    "docs/reference/commands.md": 3,
    "docs/reference/settings.md": 1,
    "docs/reliability.md": 1,
}


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home. At the end everything that was started in it is stopped."""
    home = servers_folder("batchord-reader-")
    try:
        yield home
    finally:
        for stack in home.rglob("servers.json"):
            stop_background(stack.parent)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):  # it is another user's, or has ended
                if process.environ().get("HOME") == str(home):
                    process.kill()
        shutil.rmtree(home)


def test_each_page_has_its_place() -> None:
    """In one journey, once."""
    read = [page for journey in JOURNEYS.values() for page in journey]

    assert sorted(read) == [str(page.relative_to(ROOT)) for page in pages()]


def test_blocks_that_are_not_executed_are_counted() -> None:
    """The rest is executed. A failure lists all of them, with their reasons."""
    skipped = [
        (page.relative_to(ROOT), f"{block.place}: {mark.text}")
        for page in pages()
        for block in blocks(str(page.relative_to(ROOT)))
        if (mark := block.mark(Verb.SKIPS)) is not None
    ]

    assert Counter(str(page) for page, _ in skipped) == SKIPPED, "\n".join(reason for _, reason in skipped)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "journey",
    # A group each: groups start first, and these are the longest tests.
    [pytest.param(name, marks=pytest.mark.xdist_group(f"pages-{name}")) for name in JOURNEYS],
)
def test_pages_run_as_written(journey: str, home: Path, tmp_path: Path) -> None:
    """Every block, from the first page's first line on; what a page shows is what its commands print.

    Over 30 seconds: a whole stack, and as many commands as somebody types in a morning.
    """
    with Journey(home, tmp_path, {"BATCHORD_PARALLELISM": "2"}) as reader:
        for page in JOURNEYS[journey]:
            reader.read(page)
