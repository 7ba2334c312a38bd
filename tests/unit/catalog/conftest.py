"""A folder for pipeline files, and a Python that has read none of them before."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from batchord.catalog import LiveCatalog, live
from tests.unit.catalog.live_catalog import Open
from tests.unit.catalog.pipeline_files import Write


@pytest.fixture(autouse=True)
def _own_modules(tmp_path: Path) -> Iterator[None]:
    """Reading pipeline files adds modules and a path: neither may reach another test."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        # A package without __init__.py would look for its place anew, by the path of its parent.
        folders = getattr(vars(module).get("__path__"), "_path", [])
        if any(place.startswith(str(tmp_path)) for place in [getattr(module, "__file__", None) or "", *folders]):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file into the pipelines' folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def catalog(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Open:
    """It looks at the files whenever it is asked, not every two seconds only."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)
    home = tmp_path_factory.mktemp("home")
    return lambda: LiveCatalog(tmp_path, home, decides=True)
