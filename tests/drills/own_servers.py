"""Servers of a drill's own, to be killed or stopped."""

from pathlib import Path

import psutil

from app.localstack import Server, server_status


def process_of(home: Path, server: Server) -> psutil.Process:
    """The running process of a server; PostgreSQL's is the first one, which starts all others."""
    (pid,) = [status.pid for status in server_status(home) if status.name is server]
    assert pid is not None
    return psutil.Process(pid)


def kill(process: psutil.Process) -> None:
    """Returns when the process has ended."""
    process.kill()
    process.wait(timeout=20)
