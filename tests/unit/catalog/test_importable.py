"""What pipeline files may import beside what is installed."""

import sys
from pathlib import Path

import pytest

from batchord.catalog.importable import make_importable


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """``sys.path`` as it may be changed in a test."""
    monkeypatch.setattr(sys, "path", ["/installed"])
    return sys.path


def test_the_root_and_the_folder_come_last(path: list[str], tmp_path: Path) -> None:
    """In this order, each once."""
    folder = tmp_path / "pipelines"
    folder.mkdir()

    make_importable(folder)
    make_importable(folder)

    assert path == ["/installed", str(tmp_path), str(folder)]


def test_a_root_in_which_everybody_may_write_is_left_out(path: list[str], tmp_path: Path) -> None:
    """Others could put modules there; of the pipelines' own folder they are kept out."""
    tmp_path.chmod(0o1777)
    folder = tmp_path / "pipelines"
    folder.mkdir()

    make_importable(folder)

    assert path == ["/installed", str(folder)]


def test_a_root_that_is_away_ends_nothing(path: list[str], tmp_path: Path) -> None:
    """The kept editions of the pipelines still run while their disk is away."""
    make_importable(tmp_path / "away" / "pipelines")

    assert path == ["/installed", str(tmp_path / "away"), str(tmp_path / "away" / "pipelines")]
