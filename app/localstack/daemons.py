"""Daemons: processes that outlive the process that started them. Their pid *and* their time of birth identify them.

A daemon inherits the lock on ``run/NAME.lock``, and so do its children. While the lock is held, some process may still
write to the data folder, so no second server may open it. A pid file alone cannot ensure this: its writer may be killed
between starting a server and writing its pid.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from batchord.core.errors import TransientError
from batchord.processes.births import born, life

from .home import write_private
from .interrupts import uninterrupted

_POLL_SECONDS = 0.02
_KILL_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A process that :func:`launch` has started."""

    pid: int
    #: When the process began. It distinguishes the process from a later one with the same pid.
    born: str
    port: int


def recall(home: Path, name: str) -> Daemon | None:
    """The daemon as noted at its last start, alive or not; None if there is no readable note."""
    try:
        return Daemon(**json.loads(_note(home, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def alive(daemon: Daemon) -> bool:
    """Whether this daemon, and not a later process with its pid, still runs."""
    began, zombie = life(daemon.pid)
    if began == daemon.born and zombie:
        # If this process started the daemon, it must fetch the exit status. Otherwise the daemon's parent does so.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(daemon.pid, os.WNOHANG)
    return began == daemon.born and not zombie


def find(home: Path, name: str) -> Daemon | None:
    """The running daemon of that name, also from an earlier start; None if there is none."""
    daemon = recall(home, name)
    return daemon if daemon is not None and alive(daemon) else None


def lock_path(home: Path, name: str) -> Path:
    """The lock that the daemon holds while it, or a child of it, runs."""
    return home / "run" / f"{name}.lock"


def log_path(home: Path, name: str) -> Path:
    """The file to which the daemon's output is appended."""
    return home / "logs" / f"{name}.log"


def launch(
    home: Path, name: str, command: Sequence[str], *, environment: Mapping[str, str], port: int, lock: int
) -> Daemon:
    """Starts a command as a daemon and notes it. ``lock`` is the descriptor of its lock, which is held."""
    with uninterrupted():
        return note(home, name, spawn(home, name, command, environment=environment, lock=lock), port=port)


def spawn(
    home: Path,
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    lock: int | None = None,
    stdin: int | None = None,
) -> int:
    """Starts a command in a session of its own and returns its pid. ``stdin``: its standard input; None: an empty one.

    A session of its own, because a terminal sends Ctrl-C to all processes of its group.
    """
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0) if stdin is None else (os.POSIX_SPAWN_DUP2, stdin, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log_path(home, name)), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inherited()),
    ]
    # posix_spawn instead of Popen: a Popen object would complain that its process still runs. And only this child
    # inherits the lock, not the processes that other threads start at this moment.
    return os.posix_spawnp(
        command[0],
        list(command),
        dict(environment),
        file_actions=[*files, *([] if lock is None else [(os.POSIX_SPAWN_DUP2, lock, lock + 1)])],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE],
    )


def _inherited() -> list[int]:
    """The descriptors that a shell or another program gave this process.

    A daemon must not keep them: the end of a command must end the lock of its ``flock``, and close its pipes.
    """
    with contextlib.suppress(OSError):  # macOS has no /proc
        return [number for name in os.listdir("/proc/self/fd") if (number := int(name)) > 2 and _is_inherited(number)]  # noqa: PLR2004, PTH208
    return []


def _is_inherited(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:  # the one with which the folder was listed
        return False


def note(home: Path, name: str, pid: int, *, port: int) -> Daemon:
    """Notes a process under that name, so that later programs find it."""
    daemon = Daemon(pid=pid, born=born(pid) or "ended", port=port)
    write_private(_note(home, name), json.dumps(asdict(daemon)))
    return daemon


def forget(home: Path, name: str) -> None:
    """Deletes the note of a daemon. The daemon may still run."""
    _note(home, name).unlink(missing_ok=True)


def stop(daemon: Daemon, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Sends each signal in turn and waits its seconds. At last it kills the daemon's whole session.

    Returns once the process has ended. It does not touch another process that has the pid by now. Raises TransientError
    if the system does not end the daemon.
    """
    for number, seconds in signals:
        if not _send(daemon, number):
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not alive(daemon):
                return
            time.sleep(_POLL_SECONDS)
    for kill in (os.killpg, os.kill):  # os.kill for a daemon that leads no group
        with contextlib.suppress(ProcessLookupError):
            if alive(daemon):
                kill(daemon.pid, signal.SIGKILL)
    deadline = time.monotonic() + _KILL_SECONDS
    while alive(daemon):
        if time.monotonic() > deadline:
            raise TransientError(
                f"Process {daemon.pid} does not end, not even after SIGKILL. Check whether it waits for its disk."
            )
        time.sleep(_POLL_SECONDS)


def log_tail(home: Path, name: str, *, lines: int = 8) -> str:
    """The last lines of the daemon's output, for an error message."""
    try:
        text = log_path(home, name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "(no output)"
    return "\n".join(text.splitlines()[-lines:]) or "(no output)"


def _send(daemon: Daemon, number: signal.Signals) -> bool:
    if not alive(daemon):
        return False
    try:
        os.kill(daemon.pid, number)
    except ProcessLookupError:
        return False
    return True


def _note(home: Path, name: str) -> Path:
    return home / "run" / f"{name}.json"
