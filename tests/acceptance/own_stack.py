"""The ``batchord`` command with a home of its own, and every process that belongs to it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

#: What the console script does, whatever is on PATH.
COMMAND = (sys.executable, "-P", "-c", "from batchord.app.cli import main; main()")


class OwnStack:
    """Runs commands as in a shell that configures nothing but the home and the pipelines' folder."""

    def __init__(
        self, home: Path, pipelines: Path, *, folder: Path | None = None, command: Sequence[str] = COMMAND
    ) -> None:
        self.home = home
        self.command = command
        self.folder = folder or home
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHORD_", "AWS_"))}
        self.environment = {
            **inherited,
            "BATCHORD_HOME": str(home),
            "BATCHORD_PIPELINES": str(pipelines),
            "OMP_NUM_THREADS": "1",
        }

    def batchord(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end, whatever its exit code."""
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Starts the command in a process group of its own, as a terminal does."""
        return subprocess.Popen(
            [*self.command, *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def processes(self) -> list[str]:
        """Every process that works in the home or has it in its environment, with any parent."""
        return [line for process in psutil.process_iter() if (line := self._described(process))]

    def _described(self, process: psutil.Process) -> str | None:
        home = str(self.home)
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return None
            command = process.cmdline()
            # PostgreSQL's children write their title over command and environment, but stay in their folder.
            is_ours = process.environ().get("BATCHORD_HOME") == home or any(home in word for word in command)
            return f"{process.pid}: {' '.join(command)}" if is_ours or process.cwd().startswith(home) else None
        except psutil.Error:  # it has ended meanwhile
            return None
