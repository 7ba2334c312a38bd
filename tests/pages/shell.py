"""One bash for a whole journey: folders, variables and an activated environment stay from one command to the next."""

import os
import select
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_SECONDS = 240
_END = "--end-of-command--"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended."""

    command: str
    output: str
    #: What it wrote to standard error.
    errors: str
    exit_code: int


class Shell:
    """A bash whose output is a terminal of 80 columns without colours. Commands have no input, unless they get some.

    ``scratch`` is a folder for the shell's own files.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, scratch: Path) -> None:
        self._scratch = scratch
        self._screen, terminal = os.openpty()
        termios.tcsetwinsize(terminal, (25, 80))
        mode = termios.tcgetattr(terminal)
        mode[1] &= ~termios.OPOST  # no carriage returns
        termios.tcsetattr(terminal, termios.TCSANOW, mode)
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={**environment, "TERM": "dumb"},
            stdin=subprocess.PIPE,
            stdout=terminal,
            stderr=terminal,  # of bash itself; each command's own goes into a file
            start_new_session=True,
        )
        os.close(terminal)

    def run(self, command: str, typed: str = "") -> Ended:
        """Runs one command to its end; ``typed`` is its standard input. Raises TimeoutError."""
        script, stdin, errors = (self._scratch / name for name in ("command.sh", "typed", "errors"))
        script.write_text(command, encoding="utf-8")
        stdin.write_text(typed, encoding="utf-8")
        assert self._bash.stdin is not None
        self._bash.stdin.write(f". '{script}' <'{stdin}' 2>'{errors}'; printf '\\n{_END}%d\\n' $?\n".encode())
        self._bash.stdin.flush()
        output, exit_code = self._until_its_end(command)
        return Ended(command=command, output=output, errors=errors.read_text("utf-8"), exit_code=exit_code)

    def _until_its_end(self, command: str) -> tuple[str, int]:
        seen = b""
        end = f"\n{_END}".encode()
        deadline = time.monotonic() + _SECONDS
        while end not in seen or not seen.endswith(b"\n"):
            readable, _, _ = select.select([self._screen], [], [], max(0, deadline - time.monotonic()))
            if not readable:
                raise TimeoutError(f"{command} has not ended after {_SECONDS} s; it printed: {seen.decode()}")
            try:
                seen += os.read(self._screen, 65536)
            except OSError:  # nobody has the terminal any more
                raise ChildProcessError(f"{command} ended the shell; it printed: {seen.decode()}") from None
        output, _, code = seen.decode().rpartition(f"\n{_END}")
        return output, int(code)

    def folder(self) -> Path:
        """The folder in which the shell is."""
        return Path(self.run("pwd -P").output.strip())

    def environment(self) -> dict[str, str]:
        """The shell's exported variables."""
        pairs = self.run("env -0").output.rstrip("\0").split("\0")
        return dict(pair.split("=", 1) for pair in pairs)

    def close(self) -> None:
        """Ends the shell."""
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        self._bash.wait(10)
        os.close(self._screen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def commands(code: str) -> Iterator[str]:
    """The commands of a block, each with all its lines: bash itself tells where one ends. Comments are left out."""
    lines: list[str] = []
    for line in code.splitlines(keepends=True):
        if not lines and (not line.strip() or line.lstrip().startswith("#")):
            continue
        lines.append(line)
        if _complete("".join(lines)):
            yield "".join(lines)
            lines = []
    if lines:
        yield "".join(lines)


def _complete(text: str) -> bool:
    """Whether bash would wait for no other line."""
    if text.rstrip("\n").endswith("\\"):
        return False
    checked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    return checked.returncode == 0 and "here-document" not in checked.stderr
