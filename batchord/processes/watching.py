"""Ends processes when the process that started them ends, however it ends.

A guard is a small process at the other end of a pipe, which closes when this process ends. Then the guard ends the
process groups that it was told of, and every process with its mark in the environment. Linux's parent-death signal was
rejected: it comes when the *thread* that forked ends, and it reaches only children, not their children.

A guard is a plain ``sh``, which starts in a millisecond and takes less than a megabyte. It becomes Python only when
there is something to end.
"""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Collection, Mapping

from batchord.processes import endings

#: Longer than a guard waits for the processes that it ends.
_PATIENCE_SECONDS = 15.0
#: Lines: ``+12`` and ``-12`` add and remove a group, ``done`` ends the guard.
_WAIT = """
trap '' INT TERM HUP
groups=
while read -r line; do
    case $line in
        done) exit ;;
        +*) groups="$groups ${line#+}" ;;
        -*)
            kept=
            for group in $groups; do
                [ "$group" = "${line#-}" ] || kept="$kept $group"
            done
            groups=$kept
            ;;
    esac
done
exec "$@" $groups
"""


class GuardPipe:
    """This process's end of the pipe.

    Args:
        variable: The name of the mark: a variable that all programs of the guarded processes inherit.
        inherit: Descriptors to hold while the guard runs, such as the lock that keeps a second supervisor out.
        project: Shown by ``ps``, to tell the guards of two stacks apart.
        environment: The guard's own; None: that of this process.

    Raises:
        OSError: The guard cannot be started.
    """

    def __init__(
        self,
        variable: str,
        *,
        inherit: Collection[int] = (),
        project: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        #: The value of the mark, for the environment of every guarded process.
        self.mark = secrets.token_hex(8)
        # Python ignores -X options that it does not know.
        python = [sys.executable, "-P", *(("-X", f"project={project}") if project else ())]
        self._process = subprocess.Popen(  # noqa: S603 -- our own file
            ["/bin/sh", "-c", _WAIT, "guard", *python, endings.__file__, variable, self.mark],
            stdin=subprocess.PIPE,
            env=environment,
            # This process's folder may be removed, and a signal to its group, such as Ctrl-C, must not end the guard.
            cwd="/",
            start_new_session=True,
            pass_fds=tuple(inherit),
        )

    def watch(self, group: int) -> None:
        """Makes the guard end this process group, too: it may hold processes without the mark."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """Tells the guard that the group has ended: other processes may get its number."""
        self._tell(f"-{group}")

    def dismiss(self) -> None:
        """Ends the guard: everything that it watches has ended."""
        self._tell("done")
        self.close()

    def close(self) -> None:
        """Makes the guard end all remaining processes. Returns once the guard has ended."""
        assert self._process.stdin is not None  # noqa: S101 -- a guard is started with a pipe
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        """Sends one line. Nothing happens if the guard was killed: this process's ordinary end still ends the rest."""
        assert self._process.stdin is not None  # noqa: S101 -- as above
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
