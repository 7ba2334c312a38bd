"""Local files that data names: only regular files, only inside the folder."""

import os
from pathlib import Path

import pytest

from app.adapters.objects.files import file_path, read_file
from app.core.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The allowed folder, with one file inside and one outside."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "inside").write_bytes(b"inside")
    (tmp_path / "outside").write_bytes(b"outside")
    return tmp_path / "allowed"


def _reason(path: Path, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_file(path, folder=folder, max_bytes=100)
    return caught.value.reason


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    """Links are common in data folders."""
    (folder / "link").symlink_to(folder / "inside")

    assert read_file(folder / "link", folder=folder, max_bytes=100) == b"inside"


def test_an_allowed_folder_may_be_a_link_itself(folder: Path) -> None:
    """``/data`` often points to where the disk is."""
    link = folder.parent / "data"
    link.symlink_to(folder)

    assert read_file(link / "inside", folder=link, max_bytes=100) == b"inside"


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname", "..", "."])
def test_a_link_out_of_the_folder_is_refused(folder: Path, target: str) -> None:
    """Whatever it points to."""
    (folder / "link").symlink_to(target)

    assert _reason(folder / "link", folder) == "location-not-allowed"


def test_a_linked_folder_is_refused(folder: Path) -> None:
    """A link in the middle of the path leads out as well."""
    (folder / "up").symlink_to(folder.parent)

    assert _reason(folder / "up" / "outside", folder) == "location-not-allowed"


def test_what_is_no_regular_file_is_refused(folder: Path) -> None:
    """A FIFO would block a reader for ever; a folder has no bytes; a loop of links leads nowhere."""
    os.mkfifo(folder / "fifo")
    (folder / "below").mkdir()
    (folder / "loop").symlink_to(folder / "loop")

    assert _reason(folder / "fifo", folder) == "unreadable-object"
    assert _reason(folder / "below", folder) == "unreadable-object"
    assert _reason(folder / "loop", folder) in {"unreadable-object", "missing-object"}


@pytest.mark.parametrize("name", ["absent", "inside/below", "x" * 300])
def test_what_is_not_there_is_missing(folder: Path, name: str) -> None:
    """Also where a file stands in place of a folder, and where no file can have the name."""
    assert _reason(folder / name, folder) == "missing-object"


def test_urls_are_decoded_once() -> None:
    """``%25`` is a percent sign; what it then spells is not decoded again."""
    assert file_path("file:///data/a%20b%2525%C3%BC.jpg") == Path("/data/a b%25ü.jpg")


@pytest.mark.parametrize(
    "url",
    [
        "file:///data/%2e%2e/secret",
        "file:///data/a%00.jpg",
        "file:///data/a%5Cb",
        "file:///data/a?b",
        "file:///data/a#b",
        "file:///data/%ff.jpg",
        "file://server/data/a",
        "file:data/a",
        "file:///da\nta/a",
    ],
)
def test_urls_with_tricks_are_refused(url: str) -> None:
    """Encoded dots, NUL, backslashes, queries, other hosts, relative paths."""
    with pytest.raises(ValueError, match="file:"):
        file_path(url)
