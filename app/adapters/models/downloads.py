"""Models that are kept elsewhere, brought to this machine once."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.errors import ConfigurationError

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
        """The folder with ``weights`` when all its files are there in their full sizes, else None."""
        folder = self._folder / weights
        try:
            sizes: dict[str, int] = json.loads((folder / _MANIFEST).read_text())
            complete = all((folder / name).stat().st_size == size for name, size in sizes.items())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return None
        return folder if complete else None

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
                (part / _MANIFEST).write_text(json.dumps(_sizes(part)))
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
                f"Models cannot be stored in {self._folder}: {error}. Make it writable or set BATCHORD_HOME."
            ) from error
        with lock:
            # The kernel lets go of it however the process ends, which a file that marks the lock would not.
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _sizes(folder: Path) -> dict[str, int]:
    return {
        (Path(parent) / name).relative_to(folder).as_posix(): (Path(parent) / name).stat().st_size
        for parent, _, names in os.walk(folder)
        for name in names
    }
