"""Downloads models to this machine, each once."""

import fcntl
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause
from batchord.models.digests import digest_of_file, files_below

log = logging.getLogger(__name__)

_MANIFEST = ".manifest.json"


class Downloads:
    """The folder ``home/models``, with one folder for each model's weights. All processes share it.

    A folder appears complete or not at all: files are downloaded into a folder beside it, which is then renamed. One
    process downloads; the others wait and use its files. A complete folder is used without asking the store again, so
    that workers continue while the store does not answer.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "models"

    def find(self, weights: str) -> Path | None:
        """The folder with ``weights`` if it holds exactly the downloaded files, byte for byte; otherwise None.

        It reads all files: after a fault of the disk, or an edit, a file may still have its old size.
        """
        folder = self._folder / weights
        try:
            manifest: dict[str, str] = json.loads((folder / _MANIFEST).read_text())
            whole = _digests(folder) == manifest
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        except OSError as error:  # the disk is damaged
            log.warning("%s cannot be read. It is downloaded again: %s", folder, error)
            return None
        if not whole:
            log.warning("%s has changed since its download. It is downloaded again.", folder)
        return folder if whole else None

    def bring(self, weights: str, fetch: Callable[[Path], None]) -> Path:
        """The folder with ``weights``. If they are not on this machine yet, ``fetch`` fills an empty folder.

        Raises what ``fetch`` raises, and ConfigurationError if ``home`` cannot be written.
        """
        with self._locked(weights):
            if folder := self.find(weights):
                return folder
            target, part = self._folder / weights, self._folder / f".{weights}.part"
            for incomplete in (part, target):  # a process was killed, or the disk lost data
                if incomplete.exists():
                    shutil.rmtree(incomplete)
            part.mkdir()
            try:
                fetch(part)
                (part / _MANIFEST).write_text(json.dumps(_digests(part)))
                part.rename(target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            return target

    @contextmanager
    def _locked(self, weights: str) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / f".{weights}.lock").open("w")
        except OSError as error:
            raise ConfigurationError(
                f"Models cannot be stored in {self._folder}: {clause(error)}. Make the folder writable, "
                "or set BATCHORD_HOME."
            ) from error
        with lock:
            # The kernel releases this lock however the process ends. A file that marks the lock would stay.
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _digests(folder: Path) -> dict[str, str]:
    return {name: digest_of_file(file) for name, file in files_below(folder).items() if name != _MANIFEST}
