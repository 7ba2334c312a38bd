"""Ends a command when the process that runs it is killed.

As the stack's guard it sits at the other end of a pipe, which closes when this process ends, however it ends.
But every command has one, so it is a plain ``sh``, which starts in a millisecond and takes less than a megabyte:
it becomes Python only when there is something to end.
"""

import os
import secrets
import subprocess
import sys

from batchord.processes import endings
from batchord.processes.watching import GuardPipe

#: Variable with the command's mark, inherited by everything that the command starts.
MARK_VARIABLE = "BATCHORD_COMMAND"
_WAIT = """
trap '' INT TERM HUP
groups=
while read -r said; do
    [ "$said" = done ] && exit
    groups="$groups $said"
done
exec "$@" $groups
"""


class CommandGuard(GuardPipe):
    """Watches over one command. Raises OSError when it cannot be started."""

    def __init__(self) -> None:
        #: Put into the command's environment.
        self.mark = secrets.token_hex(8)
        process = subprocess.Popen(  # noqa: S603 -- our own file
            ["/bin/sh", "-c", _WAIT, "guard", sys.executable, "-P", endings.__file__, MARK_VARIABLE, self.mark],
            stdin=subprocess.PIPE,
            # Without the mark: who ends what a killed child started must leave this guard to its work.
            env={name: value for name, value in os.environ.items() if name != endings.CHILD_MARK},
            # Its folder may be removed meanwhile, and what ends this process's group must not end it.
            cwd="/",
            start_new_session=True,
        )
        super().__init__(process)

    def watch(self, group: int) -> None:
        """End this group as well, which may hold processes that removed the mark."""
        self.tell(str(group))

    def dismiss(self) -> None:
        """Everything has ended."""
        self.tell("done")
        self.close()
