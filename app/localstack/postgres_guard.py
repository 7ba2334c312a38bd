"""Stops a home's PostgreSQL some seconds after its last holder: ``python postgres_guard.py HOME SECONDS``.

A command that stops the server itself was rejected: it may be killed, and the next command would have to start the
server again. This file runs as a script, and imports Batchord only when it is time to stop the server: until then the
guard is a small process.
"""

import fcntl
import importlib
import os
import sys
import time
from pathlib import Path

_POLL_SECONDS = 0.1


def lock_path(home: Path) -> Path:
    """The file on which each holder has a shared lock."""
    return home / "run" / "holders.lock"


def main(home: Path, seconds: float) -> None:
    """Returns when the server is stopped, ``seconds`` after its last holder."""
    descriptor = os.open(lock_path(home), os.O_RDWR | os.O_CREAT, 0o600)
    while True:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # until the last holder has ended
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        if _stays_free(descriptor, seconds) and _is_stopped(home):
            return


def _stays_free(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def _is_stopped(home: Path) -> bool:
    if not (home / "run").is_dir():  # somebody has deleted the home; PostgreSQL sees this within a minute, and ends
        return True
    return bool(importlib.import_module("batchord.app.localstack.servers").stop_unheld(home))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
