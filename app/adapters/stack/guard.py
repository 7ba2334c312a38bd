"""Ends what a supervisor started when the supervisor itself is killed.

The guard is a small process at the other end of a pipe. The pipe closes when the supervisor ends, however it
ends; the guard then ends the groups that it was told of, and every process that carries the supervisor's mark
in its environment. Linux's parent-death signal was not used: it comes when the *thread* that forked ends, and
reaches children only, not theirs.

This file is run as a script and imports nothing of Batchord, so that it costs little and never fails to start.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time

import psutil

#: Variable with the supervisor's mark, inherited by everything that its processes start.
MARK_VARIABLE = "BATCHORD_SUPERVISOR"
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.05
_CLOSE_SECONDS = 15.0


class Guard:
    """The supervisor's end of the pipe."""

    def __init__(self, *, inherit: tuple[int, ...] = ()) -> None:
        #: Put into the environment of every process that is to be guarded.
        self.mark = secrets.token_hex(8)
        self._process = subprocess.Popen(  # noqa: S603 -- this very file
            [sys.executable, "-P", __file__, self.mark],
            stdin=subprocess.PIPE,
            # Ctrl-C must reach the supervisor only.
            start_new_session=True,
            # Held for as long as the guard runs, such as the lock that keeps a second supervisor out.
            pass_fds=inherit,
        )

    def watch(self, group: int) -> None:
        """End this process group when the supervisor ends."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """The group has ended; its number may be given to others."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """End whatever is still there, then the guard; returns when that is done."""
        assert self._process.stdin is not None  # noqa: S101 -- opened above
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 -- opened above
        # A guard that was killed guards no more; the supervisor's own stop still ends everything.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def _guard(mark: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of the pipe ends the guard
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for number, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _GRACE_SECONDS)):
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        for process in _marked(mark):
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        deadline = time.monotonic() + seconds
        # Twice nothing: a process between fork and exec does not carry the mark yet.
        while not (_all_gone(groups, mark) and _all_gone(groups, mark)):
            if time.monotonic() > deadline:
                break
        else:
            return


def _all_gone(groups: set[int], mark: str) -> bool:
    time.sleep(_POLL_SECONDS)
    return not any(_exists(group) for group in groups) and not _marked(mark)


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _marked(mark: str) -> list[psutil.Process]:
    marked = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK_VARIABLE) == mark and process.status() != psutil.STATUS_ZOMBIE:
                marked.append(process)
    return marked


if __name__ == "__main__":
    _guard(sys.argv[1])
