"""Ends processes for good: whole groups, and all processes with a mark in their environment.

A process that starts a session of its own leaves its group, but it inherits the environment, and with it the mark. A
process is out of reach if it has left the group and has also removed or overwritten its environment.

This file also runs as a script, which a guard becomes when there is something to end (:mod:`.watching`). It imports
nothing of Batchord, so that it costs little and never fails to start. Signals that the guard ignores, it ignores, too.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection

import psutil

#: The variable with the mark of a process of the workers' pool. Every program that this process starts inherits it.
CHILD_MARK = "BATCHORD_CHILD"
GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.05


def end_processes(
    groups: Collection[int],
    marked: tuple[str, str],
    *,
    grace: float = GRACE_SECONDS,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Sends SIGTERM to these processes, and SIGKILL ``grace`` seconds later. Returns once all have ended.

    ``marked``: an environment variable and its value. ``pause`` waits for the given seconds or less. It gives up if a
    process still runs after SIGKILL and another ``grace`` seconds, but at least 5: then the kernel does not end it.
    """
    if not (running := _running(groups, marked)):
        return
    # Only these get SIGTERM, not processes that start later: a process may start others to clean up.
    for process in running:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + grace
    while (running := _running(groups, marked)) and time.monotonic() < deadline:
        pause(_POLL_SECONDS)
    deadline = time.monotonic() + max(grace, GRACE_SECONDS)
    while running and time.monotonic() < deadline:
        _kill(groups, running)
        pause(_POLL_SECONDS)
        running = _running(groups, marked)


def _kill(groups: Collection[int], processes: Collection[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            # Kills the whole group at once: otherwise a process that forks faster than we list would escape.
            if (group := os.getpgid(process.pid)) in groups:
                os.killpg(group, signal.SIGKILL)
            process.kill()


def _running(groups: Collection[int], marked: tuple[str, str]) -> set[psutil.Process]:
    """The processes that still run. It looks twice: a process may fork while the list is being read."""
    return _listed(groups, marked) or _listed(groups, marked)


def _listed(groups: Collection[int], marked: tuple[str, str]) -> set[psutil.Process]:
    variable, value = marked
    processes = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            belongs = os.getpgid(process.pid) in groups or process.environ().get(variable) == value
            # A zombie has ended, but in a container no process may collect it.
            if belongs and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                processes.add(process)
    return processes


if __name__ == "__main__":
    end_processes({int(group) for group in sys.argv[3:]}, (sys.argv[1], sys.argv[2]))
