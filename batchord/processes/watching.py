"""This process's end of the pipe to a guard. The guard acts when the pipe closes, however this process ends."""

import contextlib
import subprocess

#: Longer than a guard waits for the processes that it ends.
_PATIENCE_SECONDS = 15.0


class GuardPipe:
    """The pipe to a guard that reads lines from its standard input."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

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

    def tell(self, line: str) -> None:
        """Sends one line. Nothing happens if the guard was killed: this process's ordinary end still ends the rest."""
        assert self._process.stdin is not None  # noqa: S101 -- as above
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
