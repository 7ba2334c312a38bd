"""Processes that outlive the one that started them, known again by pid *and* time of birth.

A daemon inherits the lock on ``run/NAME.lock``, and so do its own children: while the lock is held, some
process may still write to the data folder and no second server may open it. A pid file alone cannot promise
that: its writer can be killed between starting a server and noting its pid.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from batchord.core.errors import TransientError

from .home import write_private
from .interrupts import uninterrupted

_POLL_SECONDS = 0.02
_KILL_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A process that was started by :func:`launch`."""

    pid: int
    #: Tells a process from a later one that was given the same pid.
    born: str
    port: int


def born(pid: int) -> str | None:
    """When the process began, in a form that no clock adjustment changes; None when there is none.

    Given for a zombie too: a process that has ended and whose exit status nobody has fetched.
    """
    return _life(pid)[0]


def _life(pid: int) -> tuple[str | None, bool]:
    """When the process began, and whether it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return _life_elsewhere(pid)
    state, threads, ticks_since_boot = fields[0], int(fields[17]), fields[19]
    # While other threads of a killed process are not over, it still holds its port, whatever became of the first.
    return f"{boot}:{ticks_since_boot}", state in "ZX" and threads <= 1


def _life_elsewhere(pid: int) -> tuple[str | None, bool]:
    # macOS has no /proc. psutil's create_time() is not used on Linux: it moves when the clock is set.
    if Path("/proc/self/stat").exists():
        return None, False
    try:
        process = psutil.Process(pid)
        return str(process.create_time()), process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None, False


def recall(home: Path, name: str) -> Daemon | None:
    """What was noted when the daemon was last started, alive or not; None when nothing readable was."""
    try:
        return Daemon(**json.loads(_note(home, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def alive(daemon: Daemon) -> bool:
    """Whether this very process still runs."""
    began, zombie = _life(daemon.pid)
    if began == daemon.born and zombie:
        # Where this process started it, its exit status is ours to fetch; else whoever did will.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(daemon.pid, os.WNOHANG)
    return began == daemon.born and not zombie


def find(home: Path, name: str) -> Daemon | None:
    """The running daemon of that name, also one from an earlier start; None when there is none."""
    daemon = recall(home, name)
    return daemon if daemon is not None and alive(daemon) else None


def lock_path(home: Path, name: str) -> Path:
    """The lock that the daemon holds for as long as it, or a child of it, runs."""
    return home / "run" / f"{name}.lock"


def log_path(home: Path, name: str) -> Path:
    """Where the daemon's output is appended."""
    return home / "logs" / f"{name}.log"


def launch(
    home: Path, name: str, command: Sequence[str], *, environment: Mapping[str, str], port: int, lock: int
) -> Daemon:
    """Start a command as a daemon and note it; ``lock`` is the held descriptor of its lock."""
    with uninterrupted():
        return note(home, name, spawn(home, name, command, environment=environment, lock=lock), port=port)


def spawn(
    home: Path, name: str, command: Sequence[str], *, environment: Mapping[str, str], lock: int | None = None
) -> int:
    """Start a command in its own session and return its pid.

    Its own session, because Ctrl-C in a terminal is sent to every process of the terminal's group.
    """
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log_path(home, name)), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # posix_spawn and not Popen: there is no object to complain that the process was left running, and the
    # lock becomes inheritable in the child alone, not in what other threads start at this moment.
    return os.posix_spawnp(
        command[0],
        list(command),
        dict(environment),
        file_actions=[*files, *([] if lock is None else [(os.POSIX_SPAWN_DUP2, lock, lock + 1)])],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE],
    )


def note(home: Path, name: str, pid: int, *, port: int) -> Daemon:
    """Note a process under that name, so that later programs find it."""
    daemon = Daemon(pid=pid, born=born(pid) or "ended", port=port)
    write_private(_note(home, name), json.dumps(asdict(daemon)))
    return daemon


def forget(home: Path, name: str) -> None:
    """Find it no longer, though it may go on."""
    _note(home, name).unlink(missing_ok=True)


def stop(daemon: Daemon, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and wait its seconds; at last kill the daemon's whole session.

    Returns when the process has ended. A foreign process that was given the pid since is left alone.
    Raises TransientError when the system does not end it.
    """
    for number, seconds in signals:
        if not _send(daemon, number):
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not alive(daemon):
                return
            time.sleep(_POLL_SECONDS)
    for kill in (os.killpg, os.kill):  # the second where it leads no group
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
