"""Which files are the author's, also by links, and quickly."""

import os
import sysconfig
from pathlib import Path

import pytest

from batchord.core.code.authors import is_authors

_LIBRARY = Path(sysconfig.get_path("stdlib"))


def test_a_file_of_a_library_is_not_the_authors(tmp_path: Path) -> None:
    """Nor is a folder that links to one, or a file that does."""
    assert not is_authors(str(_LIBRARY / "json" / "decoder.py"))
    (tmp_path / "folder").symlink_to(_LIBRARY / "json")
    (tmp_path / "decoder.py").symlink_to(_LIBRARY / "json" / "decoder.py")
    assert not is_authors(str(tmp_path / "folder" / "decoder.py"))
    assert not is_authors(str(tmp_path / "decoder.py"))


def test_a_file_of_the_author_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its whole path, by a relative one in each working directory, and by a link to it."""
    file = tmp_path / "model.py"
    file.touch()
    link = tmp_path / "linked.py"
    link.symlink_to(file)
    assert is_authors(str(file))
    assert is_authors(str(link))
    assert not is_authors(str(file.with_suffix(".txt")))
    monkeypatch.chdir(tmp_path)
    assert is_authors("model.py")
    monkeypatch.chdir(_LIBRARY / "json")
    assert not is_authors("decoder.py")


def test_the_folder_is_examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process asks for each of the hundreds of modules that it imports."""
    looked: list[str] = []
    resolve = Path.resolve
    monkeypatch.setattr(
        Path, "resolve", lambda path, **given: (looked.append(os.fspath(path)), resolve(path, **given))[1]
    )
    for name in ("decoder", "encoder", "scanner", "tool"):
        assert not is_authors(str(_LIBRARY / "json" / f"{name}.py"))
    assert len(looked) <= 1
