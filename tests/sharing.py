"""Distributes the tests among several processes: how many there are, which process gets which test, and when.

pytest-xdist starts the processes. Each has its own servers (``conftest.py``), so no test sees another's rows, messages
or objects. Tests spend more time waiting for real processes than computing, so three processes a core keep it busy.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: The peak memory of one test process with its servers and the workers that a test starts.
_PROCESS_BYTES = 3 * 1024**3
#: The folders of the suite, those with the longest tests first.
#: The last tests are short, so all processes end together.
_ORDER = ("acceptance", "drills", "contracts", "integration", "unit")
_FAST = ("contracts", "unit")
_TESTS = Path(__file__).parent
_HAD_TORCH = pytest.StashKey[bool]()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three processes a core, but fewer if memory is short. The tests of a single file run in this process."""
    if len(config.args) == 1 and ".py" in config.args[0]:
        return 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(3 * len(os.sched_getaffinity(0)), memory // _PROCESS_BYTES))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts groups and long tests first, puts all tests that load torch into one process, and marks the fast tests."""
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
    """Fails a test that imports torch without the mark: torch takes 700 MB in each process that imports it."""
    yield
    imported = "torch" in sys.modules and not request.node.stash[_HAD_TORCH]
    if imported and request.node.get_closest_marker("torch") is None:
        pytest.fail("This test imported torch. Mark it `torch`, or let a process of its own do what needs it.")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[None]:
    """Makes reports encodable: they travel between processes as UTF-8, and a captured log may hold lone surrogates."""
    report = yield
    return _encodable(report)  # type: ignore[return-value]


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(map(_encodable, value))
    return value
