"""Ends a supervisor's processes if the supervisor itself is killed.

The guard is a small process at the other end of a pipe. The pipe closes when the supervisor ends, however it ends. Then
the guard ends the process groups that the supervisor has named, and every process with the supervisor's mark in its
environment. Linux's parent-death signal was rejected: it comes when the *thread* that forked ends, and it reaches only
children, not their children.
"""

import secrets
import subprocess
import sys

from batchord.processes import endings
from batchord.processes.watching import GuardPipe

#: The variable with the supervisor's mark. All programs that its processes start inherit it.
MARK_VARIABLE = "BATCHORD_SUPERVISOR"


class Guard(GuardPipe):
    """The supervisor's end of the pipe."""

    def __init__(self, *, inherit: tuple[int, ...] = (), project: str = "") -> None:
        """``inherit``: descriptors to hold while the guard runs, such as the lock that keeps a second supervisor out.

        ``project``: shown by ``ps``, to tell the guards of two stacks apart.
        """
        #: The value of the mark, for the environment of every guarded process.
        self.mark = secrets.token_hex(8)
        command = (endings.__file__, MARK_VARIABLE, self.mark)
        process = subprocess.Popen(  # noqa: S603 -- our own file
            # Python ignores -X options that it does not know.
            [sys.executable, "-P", *(("-X", f"project={project}") if project else ()), *command],
            stdin=subprocess.PIPE,
            # Ctrl-C must reach only the supervisor.
            start_new_session=True,
            pass_fds=inherit,
        )
        super().__init__(process)

    def watch(self, group: int) -> None:
        """Makes the guard end this process group when the supervisor ends."""
        self.tell(f"+{group}")

    def forget(self, group: int) -> None:
        """Tells the guard that the group has ended: other processes may get its number."""
        self.tell(f"-{group}")
