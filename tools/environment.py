"""The virtual environment ``.venv``. It is made once, and only one process at a time changes it."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.terminal import SetupError, follow, say

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
BOOTSTRAP = REQUIREMENTS / "bootstrap.txt"

_UNFINISHED = "setup-unfinished"
_LOCK = "setup.lock"


class Environment:
    """``.venv`` in the repository's root, and its pip."""

    def __init__(self, path: Path = ROOT / ".venv") -> None:
        self.path = path
        self.python = path / "bin" / "python"
        self.log = path / "setup.log"
        self._lock_fd = -1

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other set-ups out: two pips at the same time would break the environment."""
        self.path.mkdir(exist_ok=True)
        with (self.path / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"Another set-up is at work on {self.path.name}; waiting for it.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._lock_fd = lock.fileno()
            yield

    def make(self) -> None:
        """Makes the environment with the pinned pip, unless there is a usable one."""
        if self._works():
            return
        say(f"Making {self.path.name} with Python {sys.version.split()[0]}.")
        for entry in self.path.iterdir():
            if entry.name != _LOCK:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        failed = self.run([sys.executable, "-m", "venv", str(self.path)])
        if failed is not None:
            minor = ".".join(map(str, sys.version_info[:2]))
            raise SetupError(
                f"Python's venv module failed: {failed[-1] if failed else 'it said nothing'}\n"
                f"On Debian and Ubuntu it is a package of its own: sudo apt install python{minor}-venv"
            )
        self._pin_pip()

    def pip(self, *arguments: str, what: str) -> None:
        """Runs pip. Raises SetupError with pip's last lines. ``what`` names the packages, for the error."""
        marker = self.path / _UNFINISHED
        if marker.exists():
            self._drop_half_installed()
        marker.touch()
        failed = self.run([str(self.python), "-m", "pip", *arguments])
        if failed is not None:
            words = "\n".join(f"  {line}" for line in failed)
            raise SetupError(
                f"pip could not install {what}:\n{words}\nAll of its output: {self.log}\n"
                "The same command goes on where this one stopped."
            )
        marker.unlink()

    def run(self, command: list[str], **variables: str) -> list[str] | None:
        """Runs ``command`` with its output in the log. Returns None on success, otherwise the command's last lines."""
        environment = os.environ | {
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_PROGRESS_BAR": "off",
            "PIP_USER": "0",  # a user's pip configuration may set it to 1, which a venv refuses
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n")
            # pip inherits the lock's descriptor: if this process is killed, pip continues, and so does the lock.
            process = subprocess.Popen(  # noqa: S603 (commands are built here, no shell)
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=ROOT,
                env=environment,
                pass_fds=(self._lock_fd,) if self._lock_fd >= 0 else (),
            )
            try:
                lines = follow(process.stdout or (), log)
            finally:
                status = process.wait()
        return lines if status else None

    def installed(self, name: str) -> str | None:
        """The version of an installed package; None if it is not installed. Asking pip would take half a second."""
        folders = sorted(self._site().glob(f"{name}-*.dist-info"))
        return folders[0].name.removeprefix(f"{name}-").removesuffix(".dist-info") if folders else None

    def versions(self) -> dict[str, str]:
        """The versions of all installed packages, by name as the locks write it."""
        folders = (folder.name.removesuffix(".dist-info") for folder in self._site().glob("*.dist-info"))
        parts = (folder.rpartition("-") for folder in folders)
        return {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in parts}

    def megabytes(self) -> int:
        """The disk space of the environment."""
        return sum(entry.lstat().st_size for entry in self.path.rglob("*") if not entry.is_dir()) // 1_000_000

    def packages(self) -> int:
        """How many packages are installed."""
        return sum(1 for _ in self._site().glob("*.dist-info"))

    def _works(self) -> bool:
        if not self.python.exists():
            return False
        pinned = BOOTSTRAP.read_text().split("pip==")[1].split()[0]
        oldest = "import sys; sys.exit(sys.version_info < (3, 11))"
        fits = subprocess.run([self.python, "-c", oldest], check=False, capture_output=True).returncode == 0  # noqa: S603
        if fits and self.installed("pip") not in (None, pinned):
            self._pin_pip()
        return fits and self.installed("pip") == pinned

    def _pin_pip(self) -> None:
        self.pip("install", "--require-hashes", "-r", str(BOOTSTRAP), what="the pinned pip")

    def _site(self) -> Path:
        return next(self.path.glob("lib/python3*/site-packages"), self.path / "lib")

    def _drop_half_installed(self) -> None:
        # A killed pip leaves packages with metadata but without a list of files. The next pip would take them for
        # installed. Without their metadata, it installs them again over the existing files.
        for folder in self._site().glob("*.dist-info"):
            record = folder / "RECORD"
            if not record.exists() or not record.stat().st_size:
                shutil.rmtree(folder)
