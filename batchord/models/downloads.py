"""Models that are kept elsewhere, brought to this machine once."""

import fcntl
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchord.core.errors import ConfigurationError
from batchord.models.digests import digest_of_file, files_below

log = logging.getLogger(__name__)

_MANIFEST = ".manifest.json"


class Downloads:
    """The folder ``home/models``, with one folder for each model's weights, shared by all processes.

    A folder appears at once and complete, or not at all: files are fetched into a folder beside it, which is
    then renamed. One process fetches, the others wait for it and use what it brought. What is there is used
    without asking the store again, so that workers go on while the store is away.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "models"

    def find(self, weights: str) -> Path | None:
        """The folder with ``weights`` when it holds all its files and no other, byte for byte, else None.

        Reads them all: a disk that lost a part of a file, or a hand that changed one, leaves its size as it was.
        """
        folder = self._folder / weights
        try:
            brought: dict[str, str] = json.loads((folder / _MANIFEST).read_text())
            whole = _digests(folder) == brought
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        except OSError as error:  # a part of the disk cannot be read
            log.warning("%s cannot be read. It is downloaded again: %s", folder, error)
            return None
        if not whole:
            log.warning("%s has changed since its download. It is downloaded again.", folder)
        return folder if whole else None

    def bring(self, weights: str, fetch: Callable[[Path], None]) -> Path:
        """The folder with ``weights``; ``fetch`` fills an empty folder where they are not here yet.

        Raises what ``fetch`` raises, and ConfigurationError when ``home`` cannot be written.
        """
        with self._locked(weights):
            if found := self.find(weights):
                return found
            target, part = self._folder / weights, self._folder / f".{weights}.part"
            for left in (part, target):  # by a process that was killed, or by a disk that lost data
                if left.exists():
                    shutil.rmtree(left)
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
                f"Models cannot be stored in {self._folder}: {error}. Make the folder writable, or set BATCHORD_HOME."
            ) from error
        with lock:
            # The kernel lets go of it however the process ends, which a file that marks the lock would not.
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _digests(folder: Path) -> dict[str, str]:
    return {name: digest_of_file(file) for name, file in files_below(folder).items() if name != _MANIFEST}
