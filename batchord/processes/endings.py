"""Ends processes for good: whole groups, and everything that carries a mark in its environment.

What a group's member starts in a session of its own leaves the group, but inherits the environment, and with it
the mark. Out of reach is what left the group and also removed or overwrote its environment.

This file is also run as a script, by what watches over a process that may be killed. It imports nothing of
Batchord, so that it costs little and never fails to start.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection

import psutil

#: Variable with the mark of a child of the workers' pool, inherited by every program that is started in it.
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
    """SIGTERM to whatever is left; ``grace`` seconds later SIGKILL. Returns when nothing is left.

    ``marked``: an environment variable and its value. ``pause`` waits for so many seconds, or less. Gives up when
    something is still there after SIGKILL and once more the grace, at least 5 seconds: the kernel does not let
    it go.
    """
    if not (left := _left(groups, marked)):
        return
    # Once, and not to those that come up later: a process may start others to clean up.
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + grace
    while (left := _left(groups, marked)) and time.monotonic() < deadline:
        pause(_POLL_SECONDS)
    deadline = time.monotonic() + max(grace, GRACE_SECONDS)
    while left and time.monotonic() < deadline:
        _kill(groups, left)
        pause(_POLL_SECONDS)
        left = _left(groups, marked)


def _kill(groups: Collection[int], left: Collection[psutil.Process]) -> None:
    for process in left:
        with contextlib.suppress(psutil.Error, OSError):
            # All of a group at once: nothing else stops one that forks faster than it can be listed.
            if (group := os.getpgid(process.pid)) in groups:
                os.killpg(group, signal.SIGKILL)
            process.kill()


def _left(groups: Collection[int], marked: tuple[str, str]) -> set[psutil.Process]:
    """What still runs, by two looks: a list of processes is not taken in one moment, and a fork may slip through."""
    return _found(groups, marked) or _found(groups, marked)


def _found(groups: Collection[int], marked: tuple[str, str]) -> set[psutil.Process]:
    variable, value = marked
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            belongs = os.getpgid(process.pid) in groups or process.environ().get(variable) == value
            # A zombie has ended; in a container it may have nobody to bury it.
            if belongs and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process)
    return found


def _when_input_ends(variable: str, value: str, groups: set[int]) -> None:
    """Waits for the end of standard input, whose lines ``+12`` and ``-12`` add and remove groups; then ends all."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of the pipe ends the guard
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    end_processes(groups, (variable, value))


if __name__ == "__main__":
    _when_input_ends(sys.argv[1], sys.argv[2], {int(each) for each in sys.argv[3:]})
