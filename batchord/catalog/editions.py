"""Editions: which text of each of the author's files this machine uses. All its processes share the current edition."""

import base64
import errno
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from batchord.catalog.reading import Problem

#: How long texts are kept that the current edition does not use. A process may be about to read them.
_KEEP_SECONDS = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Edition:
    """Which files are loaded from which texts, and the state of the files when this was decided."""

    #: The digest of each file's text, by absolute path: pipeline files, and the author's modules that they import.
    texts: dict[str, str]
    #: The pipeline files that are loaded, relative to the folder.
    files: list[str]
    #: The pipeline files without problems.
    good: list[str] = field(default_factory=list)
    #: The paths that each pipeline file reaches by imports, including its own.
    closures: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: The time of change, the size and the inode of each file; empty for a missing file.
    stamps: dict[str, list[int]] = field(default_factory=dict)
    #: When these files were last tried, in seconds since 1970.
    tried_at: float = 0.0
    #: When this machine took up these texts, in seconds since 1970.
    since: float = 0.0

    @property
    def id(self) -> str:
        """An id that is the same for the same texts and files."""
        return hashlib.sha256(json.dumps([self.texts, self.files], sort_keys=True).encode()).hexdigest()[:16]

    def as_json(self) -> str:
        """The edition as JSON, which :meth:`from_json` reads."""
        return json.dumps({**asdict(self), "problems": [asdict(problem) for problem in self.problems]})

    @classmethod
    def from_json(cls, text: str) -> "Edition":
        """The inverse of :meth:`as_json`. Raises ValueError, KeyError or TypeError for any other text."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "problems": [Problem(**problem) for problem in values["problems"]]})


def stamp(path: str) -> list[int]:
    """The file's time of change, size and inode; empty if the file is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- thousands of files every two seconds
    except OSError:
        return []
    return [status.st_mtime_ns, status.st_size, status.st_ino]


class Store:
    """Stores the editions of one folder in ``home``, or in this process's memory if ``home`` cannot be written.

    Each file is written under another name and then renamed, so that a reader never sees half of it. The texts are
    executed later. So the store reads only files that this user has written, and compares texts with their digests.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        self.place = home.expanduser().absolute() / "code" / hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        self._file = self.place / "edition.json"
        self._read_stamp: list[int] = []
        self._read: Edition | None = None
        self._texts: dict[str, bytes] = {}

    def current(self) -> Edition | None:
        """The current edition; None if there is none yet or it cannot be read."""
        file_stamp = stamp(str(self._file))
        if file_stamp != self._read_stamp:
            try:
                own = self._file.stat().st_uid == os.geteuid()
                self._read = Edition.from_json(self._file.read_text(encoding="utf-8")) if own else None
            except (OSError, ValueError, KeyError, TypeError):
                self._read = None
            self._read_stamp = file_stamp
        return self._read

    def publish(self, edition: Edition) -> None:
        """Makes ``edition`` the current one. Raises OSError."""
        _write(self._file, edition.as_json().encode())
        self._forget(set(edition.texts.values()))

    def keep(self, text: bytes) -> str:
        """Stores a text and returns its digest."""
        digest = hashlib.sha256(text).hexdigest()
        file = self._text_file(digest)
        try:
            if file.exists() and file.read_bytes() == text:
                os.utime(file)
            else:
                _write(file, text)
        except OSError:
            self._texts[digest] = text
        return digest

    def text(self, digest: str) -> bytes:
        """A stored text. Raises OSError."""
        if digest in self._texts:
            return self._texts[digest]
        text = self._text_file(digest).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:
            raise OSError(errno.EIO, "its content has changed since it was saved", str(self._text_file(digest)))
        return text

    def texts(self, edition: Edition) -> dict[str, bytes]:
        """All texts of an edition, by path. Raises OSError."""
        return {path: self.text(digest) for path, digest in edition.texts.items()}

    @contextmanager
    def locked(self, *, wait: bool) -> Iterator[bool]:
        """A lock for trying new texts. Yields False if another process has it and ``wait`` is False."""
        try:
            _make(self.place)
            file = (self.place / "lock").open("w", encoding="utf-8")
        except OSError:  # no other process can use this place either
            yield True
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _text_file(self, digest: str) -> Path:
        return self.place / "texts" / digest

    def _forget(self, used_digests: set[str]) -> None:
        texts = self.place / "texts"
        for file in texts.iterdir() if texts.is_dir() else ():  # there is none before the first text
            if file.name not in used_digests and time.time() - file.stat().st_mtime > _KEEP_SECONDS:
                file.unlink(missing_ok=True)


def packed(texts: Mapping[str, bytes]) -> dict[str, str]:
    """Texts in a form for JSON, by path."""
    return {path: base64.b64encode(text).decode() for path, text in texts.items()}


def unpacked(texts: Mapping[str, str]) -> dict[str, bytes]:
    """The inverse of :func:`packed`."""
    return {path: base64.b64decode(text) for path, text in texts.items()}


def _make(folder: Path) -> None:
    """Creates the folder and its missing parents. Only this user can access them."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


def _write(file: Path, content: bytes) -> None:
    _make(file.parent)
    handle, name = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.write(content)
        os.replace(name, file)  # noqa: PTH105 -- a name, not a Path
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
