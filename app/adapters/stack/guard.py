"""Ends what a supervisor started when the supervisor itself is killed.

The guard is a small process at the other end of a pipe. The pipe closes when the supervisor ends, however it
ends; the guard then ends the groups that it was told of, and every process that carries the supervisor's mark
in its environment. Linux's parent-death signal was not used: it comes when the *thread* that forked ends, and
reaches children only, not theirs.
"""

import contextlib
import secrets
import subprocess
import sys

from app.adapters import endings

#: Variable with the supervisor's mark, inherited by everything that its processes start.
MARK_VARIABLE = "BATCHORD_SUPERVISOR"
_CLOSE_SECONDS = 15.0


class Guard:
    """The supervisor's end of the pipe."""

    def __init__(self, *, inherit: tuple[int, ...] = ()) -> None:
        #: Put into the environment of every process that is to be guarded.
        self.mark = secrets.token_hex(8)
        self._process = subprocess.Popen(  # noqa: S603 -- our own file
            [sys.executable, "-P", endings.__file__, MARK_VARIABLE, self.mark],
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
