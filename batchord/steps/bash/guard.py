"""Ends a command when the process that runs it is killed.

Like the guard of the local stack, it reads from a pipe, which closes when this process ends, however it ends. But every
command has such a guard. So it is a plain ``sh``, which starts in a millisecond and takes less than a megabyte. It
becomes Python only when there is something to end.
"""

import os
import secrets
import subprocess
import sys

from batchord.processes import endings
from batchord.processes.watching import GuardPipe

#: The variable with the command's mark. Everything that the command starts inherits it.
MARK_VARIABLE = "BATCHORD_COMMAND"
_WAIT = """
trap '' INT TERM HUP
groups=
while read -r line; do
    [ "$line" = done ] && exit
    groups="$groups $line"
done
exec "$@" $groups
"""


class CommandGuard(GuardPipe):
    """Watches over one command. Raises OSError if it cannot be started."""

    def __init__(self) -> None:
        #: The value of the mark, for the command's environment.
        self.mark = secrets.token_hex(8)
        process = subprocess.Popen(  # noqa: S603 -- our own file
            ["/bin/sh", "-c", _WAIT, "guard", sys.executable, "-P", endings.__file__, MARK_VARIABLE, self.mark],
            stdin=subprocess.PIPE,
            # Without the mark of a child: when the processes of a killed child are ended, this guard must survive.
            env={name: value for name, value in os.environ.items() if name != endings.CHILD_MARK},
            # This process's folder may be removed, and a signal to this process's group must not end the guard.
            cwd="/",
            start_new_session=True,
        )
        super().__init__(process)

    def watch(self, group: int) -> None:
        """Makes the guard end this group, too: it may hold processes without the mark."""
        self.tell(str(group))

    def dismiss(self) -> None:
        """Ends the guard: everything that it watches has ended."""
        self.tell("done")
        self.close()
