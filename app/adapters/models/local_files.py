"""Fingerprints of models on this machine."""

import hashlib
import os
import threading
from pathlib import Path

from app.adapters.models.places import Stored, check_files, wanted
from app.adapters.models.versions import Fingerprint
from app.core.errors import ModelNotFound

_State = tuple[int, int, int, int]


class LocalFiles:
    """Digests files by their contents; a file whose size, time and inode stand still is read once only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[_State, str]] = {}

    def fingerprints(self, declared: Stored, path: Path) -> list[Fingerprint]:
        """The files at ``path`` that make up ``declared``.

        Raises ModelNotFound when they are missing or unreadable, ConfigurationError when they are unusable.
        """
        try:
            files = {path.name: path} if path.is_file() else _below(path)
            check_files(declared, sorted(files))
            return [Fingerprint(name, self._digest(file)) for name, file in files.items() if wanted(declared, name)]
        except OSError as error:
            raise ModelNotFound(f"{path} cannot be read: {error}. Restore the file or its permissions.") from error

    def _digest(self, file: Path) -> str:
        state = _state(file)
        with self._lock:
            known = self._known.get(file)
        if known is not None and known[0] == state:
            return known[1]
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        with self._lock:
            self._known[file] = (state, digest)  # the state from before: a change meanwhile is seen next time
        return digest


def _state(file: Path) -> _State:
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _below(folder: Path) -> dict[str, Path]:
    return {
        (Path(parent) / name).relative_to(folder).as_posix(): Path(parent) / name
        for parent, _, names in os.walk(folder)
        for name in names
    }
