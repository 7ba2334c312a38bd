"""A file that is there as a whole or not at all."""

import resource
import stat
from pathlib import Path

import pytest

from batchord.core.errors import ConfigurationError
from batchord.exports.whole_file import whole_file


def _write(file: Path, content: bytes, error: type[BaseException] | None = None) -> None:
    with whole_file(file, force=True) as opened:
        opened.write(content)
        if error is not None:
            raise error


def test_it_appears_at_the_end(tmp_path: Path) -> None:
    """Until then the folder shows no file to those who look for files."""
    file = tmp_path / "a.csv"
    with whole_file(file, force=False) as opened:
        opened.write(b"rows")
        assert not list(tmp_path.glob("*.csv"))

    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    assert file.read_bytes() == b"rows"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_after_an_error_everything_is_as_before(tmp_path: Path, error: type[BaseException]) -> None:
    """An older file as well."""
    file = tmp_path / "a.csv"
    file.write_bytes(b"old")
    with pytest.raises(error):
        _write(file, b"half", error)

    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]
    assert file.read_bytes() == b"old"


def test_an_older_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    """It keeps its rights, and a link still leads to it."""
    file, link = tmp_path / "a.csv", tmp_path / "link.csv"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    with pytest.raises(ConfigurationError, match=r"link\.csv exists: give --force"), whole_file(link, force=False):
        pass
    with whole_file(link, force=True) as opened:
        opened.write(b"new")

    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_file_that_another_program_has_made_meanwhile_stays(tmp_path: Path) -> None:
    """It is noticed at the end, too."""
    file = tmp_path / "a.csv"
    with pytest.raises(ConfigurationError, match="exists"), whole_file(file, force=False):
        file.write_bytes(b"theirs")

    assert file.read_bytes() == b"theirs"
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_what_is_no_place_for_a_file_is_told(tmp_path: Path) -> None:
    """With the next step; a device is not replaced by a file."""
    for file, told in (
        (tmp_path / "no" / "a.csv", "There is no folder .*no: create it"),
        (tmp_path, "is a folder: name a file in it"),
        (Path("/dev/null"), "/dev/null is no file.*`-o -`"),
        (Path("/proc/a.csv"), r"/proc/a\.csv cannot be written: .*Next step: choose"),
        (tmp_path / ("a" * 300), "cannot be written: File name too long. Next step: choose a shorter name"),
    ):
        with pytest.raises(ConfigurationError, match=told), whole_file(file, force=True):
            pass
    assert Path("/dev/null").is_char_device()


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: both refuse a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ConfigurationError, match=r"a\.csv cannot be written: File too large\. Next step: "):
            _write(tmp_path / "a.csv", b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert not list(tmp_path.iterdir())
