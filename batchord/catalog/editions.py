"""Editions: which text of each of the author's files is in use, kept on this machine for every process of it."""

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

#: Texts that no edition names any more may still be read by a process that was about to.
_KEEP_SECONDS = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Edition:
    """What is loaded, from which texts, and how the files looked when that was decided."""

    #: Digest of the text of each file, by absolute path: the pipelines' and the author's modules that they import.
    texts: dict[str, str]
    #: The pipeline files that are loaded, relative to the folder.
    files: list[str]
    #: Those of them that had no problem.
    good: list[str] = field(default_factory=list)
    #: The paths that each of them reaches by imports, itself included.
    closures: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: Of each file: time of its change, size and inode; nothing where it was not there.
    stamps: dict[str, list[int]] = field(default_factory=dict)
    #: When these files were looked at last and when the texts were taken up, in seconds since 1970.
    tried_at: float = 0.0
    since: float = 0.0

    @property
    def id(self) -> str:
        """The same for the same texts."""
        return hashlib.sha256(json.dumps([self.texts, self.files], sort_keys=True).encode()).hexdigest()[:16]

    def as_json(self) -> str:
        """For :meth:`from_json`."""
        return json.dumps({**asdict(self), "problems": [asdict(problem) for problem in self.problems]})

    @classmethod
    def from_json(cls, text: str) -> "Edition":
        """Raises ValueError, KeyError or TypeError for what is none."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "problems": [Problem(**problem) for problem in values["problems"]]})


def stamp(path: str) -> list[int]:
    """How the file looks from outside; empty when it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- thousands of files every two seconds
    except OSError:
        return []
    return [found.st_mtime_ns, found.st_size, found.st_ino]


class Store:
    """Where the editions of one folder are kept: in ``home``, or in this process's memory where that is not possible.

    Everything is written beside its place and moved there, so that a reader never meets half of it. What is read is
    executed: so only what this user has written is read, and texts are compared with their digests.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        self.place = home.expanduser().absolute() / "code" / hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        self._file = self.place / "edition.json"
        self._seen: list[int] = []
        self._read: Edition | None = None
        self._texts: dict[str, bytes] = {}

    def current(self) -> Edition | None:
        """The edition in use; None when there is none yet, or it cannot be read."""
        seen = stamp(str(self._file))
        if seen != self._seen:
            try:
                own = self._file.stat().st_uid == os.geteuid()
                self._read = Edition.from_json(self._file.read_text(encoding="utf-8")) if own else None
            except (OSError, ValueError, KeyError, TypeError):
                self._read = None
            self._seen = seen
        return self._read

    def publish(self, edition: Edition) -> None:
        """Makes it the edition in use. Raises OSError."""
        _write(self._file, edition.as_json().encode())
        self._forget(set(edition.texts.values()))

    def keep(self, text: bytes) -> str:
        """Keeps a text, and returns its digest."""
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
        """A text that was kept. Raises OSError."""
        if digest in self._texts:
            return self._texts[digest]
        text = self._text_file(digest).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:
            raise OSError(errno.EIO, "its content has changed since it was saved", str(self._text_file(digest)))
        return text

    def texts(self, edition: Edition) -> dict[str, bytes]:
        """All of an edition, by path. Raises OSError."""
        return {path: self.text(digest) for path, digest in edition.texts.items()}

    @contextmanager
    def locked(self, *, wait: bool) -> Iterator[bool]:
        """Only one process of this machine tries new texts at a time; gives False where another does."""
        try:
            _make(self.place)
            file = (self.place / "lock").open("w", encoding="utf-8")
        except OSError:  # nobody else can use this place either
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

    def _forget(self, named: set[str]) -> None:
        for file in (self.place / "texts").iterdir():
            if file.name not in named and time.time() - file.stat().st_mtime > _KEEP_SECONDS:
                file.unlink(missing_ok=True)


def packed(texts: Mapping[str, bytes]) -> dict[str, str]:
    """Texts as JSON can hold them."""
    return {path: base64.b64encode(text).decode() for path, text in texts.items()}


def unpacked(texts: Mapping[str, str]) -> dict[str, bytes]:
    """The opposite."""
    return {path: base64.b64decode(text) for path, text in texts.items()}


def _make(folder: Path) -> None:
    """The folder and those above it, each that is new for this user alone."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


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
