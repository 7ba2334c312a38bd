"""Shared parts of the tests of commands."""

import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from batchord.steps.bash.shell import run_command
from tests.waiting import wait_until


def ignore(_stream: str, _line: str) -> None:
    """Takes a line and does nothing with it."""


def run(
    command: str,
    *,
    env: dict[str, str] | None = None,
    cwd: str | None = None,
    time_limit: float | None = 60,
    grace: float = 0.5,
    stop: threading.Event | None = None,
    on_line: Callable[[str, str], None] = ignore,
) -> str:
    """Runs a command with short patience."""
    return run_command(
        command,
        env=env or {},
        cwd=cwd,
        time_limit=time_limit,
        stop=stop or threading.Event(),
        on_line=on_line,
        grace=grace,
    )


def pid_in(file: Path) -> int:
    """The process number that a command wrote into ``file``, as soon as it stands there."""
    return int(wait_until(lambda: file.exists() and file.read_text().strip(), description=f"a pid in {file.name}"))


def runs(pid: int) -> bool:
    """Whether the process is there; a zombie has ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
