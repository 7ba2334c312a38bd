"""Ends a command when the process that runs it is killed.

As the stack's guard it sits at the other end of a pipe, which closes when this process ends, however it ends.
But every command has one, so it is a plain ``sh``, which starts in a millisecond and takes less than a megabyte:
it becomes Python only when there is something to end.
"""

import contextlib
import secrets
import subprocess
import sys

from app.adapters import endings

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
_PATIENCE_SECONDS = 15.0


class CommandGuard:
    """Watches over one command. Raises OSError when it cannot be started."""

    def __init__(self) -> None:
        #: Put into the command's environment.
        self.mark = secrets.token_hex(8)
        self._process = subprocess.Popen(  # noqa: S603 -- our own file
            ["/bin/sh", "-c", _WAIT, "guard", sys.executable, "-P", endings.__file__, MARK_VARIABLE, self.mark],
            stdin=subprocess.PIPE,
            # Its folder may be removed meanwhile, and what ends this process's group must not end it.
            cwd="/",
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """End this group as well, which may hold processes that removed the mark."""
        self._tell(str(group))

    def dismiss(self) -> None:
        """Everything has ended."""
        self._tell("done")
        self.close()

    def close(self) -> None:
        """Ends whatever is left, unless it was dismissed; returns when that is done."""
        assert self._process.stdin is not None  # noqa: S101 -- opened above
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 -- opened above
        # A guard that was killed guards no more; the ordinary end still ends everything.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
