"""Ends what a supervisor started when the supervisor itself is killed.

The guard is a small process at the other end of a pipe. The pipe closes when the supervisor ends, however it
ends; the guard then ends the groups that it was told of, and every process that carries the supervisor's mark
in its environment. Linux's parent-death signal was not used: it comes when the *thread* that forked ends, and
reaches children only, not theirs.
"""

import secrets
import subprocess
import sys

from batchord.processes import endings
from batchord.processes.watching import GuardPipe

#: Variable with the supervisor's mark, inherited by everything that its processes start.
MARK_VARIABLE = "BATCHORD_SUPERVISOR"


class Guard(GuardPipe):
    """The supervisor's end of the pipe."""

    def __init__(self, *, inherit: tuple[int, ...] = ()) -> None:
        #: Put into the environment of every process that is to be guarded.
        self.mark = secrets.token_hex(8)
        process = subprocess.Popen(  # noqa: S603 -- our own file
            [sys.executable, "-P", endings.__file__, MARK_VARIABLE, self.mark],
            stdin=subprocess.PIPE,
            # Ctrl-C must reach the supervisor only.
            start_new_session=True,
            # Held for as long as the guard runs, such as the lock that keeps a second supervisor out.
            pass_fds=inherit,
        )
        super().__init__(process)

    def watch(self, group: int) -> None:
        """End this process group when the supervisor ends."""
        self.tell(f"+{group}")

    def forget(self, group: int) -> None:
        """The group has ended; its number may be given to others."""
        self.tell(f"-{group}")
