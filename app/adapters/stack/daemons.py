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

from app.adapters.stack.home import write_private

_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A process that was started by :func:`launch`."""

    pid: int
    #: Tells a process from a later one that was given the same pid.
    born: str
    port: int


def born(pid: int) -> str | None:
    """When the process began, in a form that no clock adjustment changes; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return _born_elsewhere(pid)
    state, ticks_since_boot = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{ticks_since_boot}"


def _born_elsewhere(pid: int) -> str | None:
    # macOS has no /proc. psutil's create_time() is not used on Linux: it moves when the clock is set.
    if Path("/proc/self/stat").exists():
        return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.NoSuchProcess:
        return None


def recall(home: Path, name: str) -> Daemon | None:
    """What was noted when the daemon was last started, alive or not; None when nothing readable was."""
    try:
        return Daemon(**json.loads(_note(home, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def alive(daemon: Daemon) -> bool:
    """Whether this very process still runs."""
    with contextlib.suppress(ChildProcessError):
        # A daemon that this process started stays a zombie until its exit status is fetched.
        os.waitpid(daemon.pid, os.WNOHANG)
    return born(daemon.pid) == daemon.born


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
    """Start a command as a daemon in its own session; ``lock`` is the held descriptor of its lock.

    Its own session, because Ctrl-C in a terminal is sent to every process of the terminal's group.
    """
    log = str(log_path(home, name))
    # posix_spawn and not Popen: there is no object to complain that the process was left running, and the
    # lock becomes inheritable in the child alone, not in what other threads start at this moment.
    pid = os.posix_spawnp(
        command[0],
        list(command),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, lock, lock + 1),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE],
    )
    daemon = Daemon(pid=pid, born=born(pid) or "ended", port=port)
    write_private(_note(home, name), json.dumps(asdict(daemon)))
    return daemon


def stop(daemon: Daemon, signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and wait its seconds; at last kill the daemon's whole session.

    Returns when the process has ended. A foreign process that was given the pid since is left alone.
    """
    for number, seconds in signals:
        if not _send(daemon, number):
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not alive(daemon):
                return
            time.sleep(_POLL_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        if alive(daemon):
            os.killpg(daemon.pid, signal.SIGKILL)
    while alive(daemon):
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
