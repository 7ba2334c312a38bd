"""Local files that data names: only regular files, only inside the folder."""

import os
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest

from batchord.core.errors import DataError
from batchord.storage.objects.files import file_path, read_file


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
    """``%25`` is a percent sign. The result is not decoded again."""
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


@pytest.mark.parametrize("name", ["a%20b", "a+b", "写真\u30001", "👩\u200d🔬", "a?b#c", " a "])
def test_an_odd_name_is_read_by_its_url(folder: Path, name: str) -> None:
    """Whatever a URL must encode, and whatever joins or spaces characters."""
    (folder / name).write_bytes(b"odd")

    assert read_file(file_path(f"file://{quote(str(folder / name))}"), folder=folder, max_bytes=100) == b"odd"


def test_a_file_is_read_through_folders_that_cannot_be_listed(folder: Path) -> None:
    """The right to pass through is enough."""
    (folder / "below").mkdir()
    (folder / "below" / "file").write_bytes(b"below")
    (folder / "below").chmod(0o111)
    try:
        assert read_file(folder / "below" / "file", folder=folder, max_bytes=100) == b"below"
    finally:
        (folder / "below").chmod(0o755)


@pytest.mark.parametrize("link", ["absolute", "relative", "up and down"])
def test_a_linked_folder_inside_is_followed(folder: Path, link: str) -> None:
    """However the link is written."""
    (folder / "real").mkdir()
    (folder / "real" / "file").write_bytes(b"inside")
    targets = {"absolute": folder / "real", "relative": "real", "up and down": f"../{folder.name}/real"}
    (folder / "link").symlink_to(targets[link])

    assert read_file(folder / "link" / "file", folder=folder, max_bytes=100) == b"inside"


@pytest.mark.parametrize("part", ["folder", "file"])
def test_what_is_swapped_for_a_link_while_it_is_opened_never_leads_out(folder: Path, part: str) -> None:
    """A folder and a link out take turns under one name, as fast as they can, for a second."""
    (folder / "real").mkdir()
    (folder / "real" / "file").write_bytes(b"inside")
    secrets = folder.parent / "secrets"
    secrets.mkdir()
    (secrets / "file").write_bytes(b"outside")
    below = folder if part == "folder" else folder / "real"
    name, real, out = ("real", ".real", secrets) if part == "folder" else ("file", ".file", secrets / "file")
    (below / "link").symlink_to(out)
    until = time.monotonic() + 1

    def swap() -> None:
        while time.monotonic() < until:
            for one, other in ((name, real), ("link", name), (name, "link"), (real, name)):
                (below / one).rename(below / other)

    read: Counter[bytes | str] = Counter()
    swapping = threading.Thread(target=swap)
    swapping.start()
    while time.monotonic() < until:
        try:
            read[read_file(folder / "real" / "file", folder=folder, max_bytes=100)] += 1
        except DataError as error:
            read[error.reason] += 1
    swapping.join()
    assert read[b"inside"], read
    assert read["location-not-allowed"], "the link was seen"
    assert not read[b"outside"], read
