"""Ends a command when the process that runs it is killed."""

import os

from batchord.processes import endings
from batchord.processes.watching import GuardPipe

#: The variable with the command's mark. Everything that the command starts inherits it.
MARK_VARIABLE = "BATCHORD_COMMAND"


class CommandGuard(GuardPipe):
    """Watches over one command. Raises OSError if it cannot be started."""

    def __init__(self) -> None:
        # Without the mark of a child: when the processes of a killed child are ended, this guard must survive.
        own = {name: value for name, value in os.environ.items() if name != endings.CHILD_MARK}
        super().__init__(MARK_VARIABLE, environment=own)
