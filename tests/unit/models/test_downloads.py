"""Models that were brought here are what was brought, byte for byte, or are brought anew."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batchord.models.downloads import Downloads

_WEIGHTS = "mood@0123456789ab"


def _fetch(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "model.safetensors").write_bytes(b"good weights")
    (folder / "config.json").write_text("{}")


def _changed(folder: Path) -> None:
    (folder / "below" / "model.safetensors").write_bytes(b"evil weights")


def _added(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def _removed(folder: Path) -> None:
    (folder / "config.json").unlink()


def _linked(folder: Path) -> None:
    (folder / "more").symlink_to(folder.parent.parent)


def _forgotten(folder: Path) -> None:
    (folder / ".manifest.json").write_text('{"below/model.safetensors": 12, "config.json": 2}')


def test_what_was_brought_is_found(tmp_path: Path) -> None:
    """Another process finds it as well."""
    brought = Downloads(tmp_path).bring(_WEIGHTS, _fetch)

    assert Downloads(tmp_path).find(_WEIGHTS) == brought


@pytest.mark.parametrize("change", [_changed, _added, _removed, _linked, _forgotten])
def test_what_is_no_longer_as_it_was_is_brought_anew(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """A file of the same size with other bytes, one more, one less; a folder that an older release brought."""
    (tmp_path / "elsewhere").write_text("a file")
    folder = Downloads(tmp_path).bring(_WEIGHTS, _fetch)
    change(folder)
    downloads = Downloads(tmp_path)

    assert downloads.find(_WEIGHTS) is None
    assert downloads.bring(_WEIGHTS, _fetch) == folder
    assert (folder / "below" / "model.safetensors").read_bytes() == b"good weights"
    assert downloads.find(_WEIGHTS) == folder
