"""Fingerprints of models on this machine."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchord.core.declared.models import StoredModel
from batchord.core.errors import ModelNotFound
from batchord.models.digests import digest_of_file, files_below
from batchord.models.versions import Fingerprint

_State = tuple[int, int, int, int]


class LocalFiles:
    """Digests files by their contents; a file whose size, time and inode stand still is read once only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[_State, str]] = {}

    def fingerprints(self, declared: StoredModel, path: Path) -> list[Fingerprint]:
        """The files at ``path`` that make up ``declared``.

        Raises ModelNotFound when they are missing or unreadable, ConfigurationError when they are unusable.
        """
        try:
            parts = _parts(declared, path)
            return [Fingerprint(name, self._digest(file)) for name, file in parts.items()]
        except OSError as error:
            raise ModelNotFound(f"{path} cannot be read: {error}. Restore the file or its permissions.") from error

    def _digest(self, file: Path) -> str:
        state = _state(file)
        with self._lock:
            known = self._known.get(file)
        if known is not None and known[0] == state:
            return known[1]
        digest = digest_of_file(file)
        with self._lock:
            self._known[file] = (state, digest)  # the state from before: a change meanwhile is seen next time
        return digest


def _state(file: Path) -> _State:
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@contextmanager
def nothing_but_parts(declared: StoredModel, path: Path) -> Iterator[Path]:
    """A folder that holds links to the files of the version, and nothing else that a library could find and load.

    A model of a single file is that file. Raises as :meth:`LocalFiles.fingerprints`.
    """
    if path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="batchord-model-") as place:
        for name, file in _parts(declared, path).items():
            link = Path(place, name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.absolute())
        yield Path(place)


def _parts(declared: StoredModel, path: Path) -> dict[str, Path]:
    try:
        files = {path.name: path} if path.is_file() else files_below(path)
    except OSError as error:
        raise ModelNotFound(f"{path} cannot be read: {error}. Restore the file or its permissions.") from error
    declared.check_files(sorted(files))
    return {name: file for name, file in files.items() if declared.is_part(name)}
