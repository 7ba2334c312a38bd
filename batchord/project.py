"""The project's settings file, ``batchord.toml``: it is found from every folder of the project."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

PROJECT_FILE = "batchord.toml"
#: How tomllib says where a file is wrong.
_PLACE = re.compile(r"\s*\(at line (?P<line>\d+), column \d+\)$|\s*\(at end of document\)$")


@dataclass(frozen=True, kw_only=True)
class ProjectFile:
    """A settings file that was read."""

    path: Path
    #: Its text may hold passwords, and so may its values.
    text: str = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)

    @property
    def folder(self) -> Path:
        """The project's folder. Relative paths in the file begin here."""
        return self.path.parent

    def below(self, path: str) -> Path:
        """A path that the file names. A relative one begins at the project's folder."""
        return Path(os.path.normpath(self.folder / expanded(path)))

    def line(self, key: str) -> int | None:
        """The number of the line in which ``key`` is set; None if it cannot be told."""
        begins = re.compile(rf"""\s*(["']?){re.escape(key)}\1\s*=""")
        lines = self.text.split("\n")
        for number, line in enumerate(lines):
            # Within a text of several lines, the lines before are no complete document.
            if begins.match(line) and _is_complete("\n".join(lines[:number])):
                return number + 1
        return None

    def place(self, key: str) -> str:
        """The file and the line of ``key``, for people."""
        line = self.line(key)
        return str(self.path) if line is None else f"{self.path}:{line}"


def find_project(start: Path | None = None) -> tuple[Path | None, list[Path]]:
    """The nearest settings file, in ``start`` (the working directory) or above it; and files that must not be used.

    The search ends at the user's home and at the border of a file system. Above ``start``, it leaves out files of
    strangers, and folders in which everybody may write: there, anybody could choose the code that others execute.
    """
    strangers: list[Path] = []
    try:
        begin = (start or Path.cwd()).absolute()
        status = begin.stat()
    except OSError:  # the working directory was deleted
        return None, strangers
    for folder in _upwards(begin, status.st_dev):
        path = folder / PROJECT_FILE
        try:
            if not path.is_file():
                continue
            trusted = folder == begin or _is_trusted(path, status.st_uid)
        except OSError:  # a folder that this user may not enter
            continue
        if trusted:
            return path, strangers
        strangers.append(path)
    return None, strangers


def _is_trusted(path: Path, owner: int) -> bool:
    """Whether only this user, root and ``owner`` can have chosen the file and what lies beside it. Raises OSError.

    A link counts by its own owner: a stranger's link to a file of this user would make a stranger's folder the project.
    """
    folder = path.parent.stat()
    trusted = (os.geteuid(), 0, owner)
    return not folder.st_mode & stat.S_IWOTH and folder.st_uid in trusted and path.lstat().st_uid in trusted


def expanded(path: str | Path) -> Path:
    """The path with ``~`` replaced by a home folder, if there is such a home."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 -- Path.expanduser() raises if there is none


def _upwards(begin: Path, device: int) -> Iterator[Path]:
    home = expanded("~")
    for folder in (begin, *begin.parents):
        try:
            if folder.stat().st_dev != device:
                return
        except OSError:
            return
        yield folder
        if folder == home:
            return


def read_project(path: Path) -> ProjectFile:
    """Reads the file. Raises ConfigurationError, with the line, if it cannot be read or is not TOML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line = "" if place is None else f":{place['line'] or text.count(chr(10)) + 1}"
        reason = _PLACE.sub("", str(error))
        raise ConfigurationError(
            f"{path}{line} is not TOML: {clause(reason)}. Write one setting a line, such as `lease_seconds = 30`, and "
            "texts in quotes."
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not a UTF-8 text. Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}). Make it readable.") from None
    return ProjectFile(path=path, text=text, values=values)


def _is_complete(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
