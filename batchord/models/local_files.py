"""Fingerprints of models on this machine."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchord.core.declared.models import StoredModel
from batchord.core.errors import ModelNotFound
from batchord.core.text.error_text import clause
from batchord.models.digests import digest_of_file, files_below
from batchord.models.versions import Fingerprint

_State = tuple[int, int, int, int]


class LocalFiles:
    """Computes digests of files. It reads a file again only if its size, its times or its inode change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: dict[Path, tuple[_State, str]] = {}

    def fingerprints(self, declared: StoredModel, path: Path) -> list[Fingerprint]:
        """The fingerprints of the files at ``path`` that make up ``declared``.

        Raises ModelNotFound if they are missing or unreadable, ConfigurationError if they are unusable.
        """
        try:
            parts = _parts(declared, path)
            digests = {name: self._digest(file) for name, file in parts.items()}
        except OSError as error:
            raise _unreadable(path, error) from error
        declared.check_contents(digests)
        return [Fingerprint(name, digest) for name, digest in digests.items()]

    def _digest(self, file: Path) -> str:
        state = _state(file)
        with self._lock:
            cached = self._digests.get(file)
        if cached is not None and cached[0] == state:
            return cached[1]
        digest = digest_of_file(file)
        with self._lock:
            # The state from before reading: the next call notices a change that happened meanwhile.
            self._digests[file] = (state, digest)
        return digest


def _state(file: Path) -> _State:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@contextmanager
def nothing_but_parts(declared: StoredModel, path: Path) -> Iterator[Path]:
    """A folder with links to the files of the version and nothing else that a library could find and load.

    For a model of a single file, it is that file. Raises the errors of :meth:`LocalFiles.fingerprints`.
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
        raise _unreadable(path, error) from error
    declared.check_files(sorted(files))
    return {name: file for name, file in files.items() if declared.is_part(name)}


def _unreadable(path: Path, error: OSError) -> ModelNotFound:
    return ModelNotFound(f"{path} cannot be read: {clause(error)}. Restore the file or its permissions.")
