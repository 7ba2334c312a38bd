"""Who uses the home's PostgreSQL: each holder has a shared lock on one file, and a guard waits for the end of the last.

The kernel ends the lock when its process ends, also after SIGKILL. A list of pids was rejected: a holder that was
killed would stay in it.
"""

import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import daemons, postgres_guard
from .embedded import plain_environment
from .interrupts import uninterrupted

#: How long the server waits for the next holder.
LINGER_SECONDS = 10.0
_GUARD = "postgres-guard"


@contextmanager
def hold(home: Path) -> Iterator[None]:
    """During the block, neither a guard nor ``batchord down`` stops the home's PostgreSQL.

    It waits while the server is being stopped. The home must exist.
    """
    with _opened(home) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def keep_holders_out(home: Path) -> Iterator[bool]:
    """Yields whether nobody holds the home's PostgreSQL. If so, new holders wait until the end of the block."""
    with _opened(home) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _opened(home: Path) -> Iterator[int]:
    # A program that the holder starts does not inherit the descriptor: Python opens it with O_CLOEXEC. A fork does
    # inherit it, and it may use the database as well.
    descriptor = os.open(postgres_guard.lock_path(home), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def start_guard(home: Path, *, linger: float = LINGER_SECONDS) -> None:
    """Starts the guard of the home's PostgreSQL unless it runs. The caller holds the home's turn."""
    if is_guarded(home):
        return
    # Not -m: the guard would import Batchord, which it does not need before the end.
    command = [sys.executable, "-P", postgres_guard.__file__, str(home), str(linger)]
    with uninterrupted():
        pid = daemons.spawn(home, _GUARD, command, environment=plain_environment())
        daemons.note(home, _GUARD, pid, port=0)


def is_guarded(home: Path) -> bool:
    """Whether a guard is there to stop the home's PostgreSQL: then no stack keeps it."""
    return daemons.find(home, _GUARD) is not None


def end_guard(home: Path) -> None:
    """Ends the guard, if there is one: the server stays. The caller holds the home's turn."""
    guard = daemons.find(home, _GUARD)
    if guard is not None:
        daemons.stop(guard, ((signal.SIGKILL, 5.0),))
    forget_guard(home)


def forget_guard(home: Path) -> None:
    """Makes the next start take a new guard. The caller holds the home's turn."""
    daemons.forget(home, _GUARD)
