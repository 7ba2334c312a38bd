"""How the tests are shared out among several processes: how many there are, who gets which test, and when.

pytest-xdist starts the processes. Each has servers of its own (``conftest.py``), so no test meets another's rows,
messages or objects. Tests wait for real processes more than they compute: two processes a core keep it busy.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: One process of tests with its servers and the workers that a test starts, at its peak.
_PROCESS_BYTES = 3 * 1024**3
#: The folders of the suite, those with the longest tests first: what ends a run is short, so all processes end at once.
_ORDER = ("acceptance", "drills", "contracts", "integration", "unit")
_FAST = ("contracts", "unit")
_TESTS = Path(__file__).parent
_HAD_TORCH = pytest.StashKey[bool]()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes a core, fewer where memory is short; none but this one for the tests of one file."""
    if len(config.args) == 1 and ".py" in config.args[0]:
        return 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(2 * len(os.sched_getaffinity(0)), memory // _PROCESS_BYTES))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts groups and long tests first, all tests that load torch into one process, and marks the fast ones."""
    for item in items:
        if _folder(item) in _FAST:
            item.add_marker(pytest.mark.fast)
        if item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.xdist_group("torch"))
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> tuple[bool, int]:
    folder = _folder(item)
    place = _ORDER.index(folder) if folder in _ORDER else len(_ORDER)
    return item.get_closest_marker("xdist_group") is None, place


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0]


@pytest.hookimpl(tryfirst=True)  # before any fixture imports it
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Notes whether an earlier test of this process imported torch."""
    item.stash[_HAD_TORCH] = "torch" in sys.modules


@pytest.fixture(autouse=True)
def _torch_stays_out(request: pytest.FixtureRequest) -> Iterator[None]:
    """Torch takes 700 MB of each process that imports it, so only tests that say so may."""
    yield
    imported = "torch" in sys.modules and not request.node.stash[_HAD_TORCH]
    if imported and request.node.get_closest_marker("torch") is None:
        pytest.fail("This test imported torch. Mark it `torch`, or let a process of its own do what needs it.")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[None]:
    """Reports travel between processes as UTF-8, which half a surrogate pair in a captured log is not."""
    report = yield
    return _encodable(report)  # type: ignore[return-value]


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            return {_encodable(key): _encodable(each) for key, each in value.items()}
        case list() | tuple():
            return type(value)(map(_encodable, value))
    return value
