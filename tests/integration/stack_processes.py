"""Small processes for the tests of the supervisor, and questions about them."""

import sys
from pathlib import Path

import psutil

from app.localstack import ProcessSpec, ProcessStatus
from tests.waiting import wait_until

#: Says that it runs, and ends politely.
POLITE = "import signal; print('ready', flush=True); signal.sigwait([signal.SIGTERM])"
#: Ignores every polite signal, and so does its child, which it tells of.
STUBBORN = """
import signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""
#: Takes a moment to end.
LAST_WORDS = """
import signal, sys, time
def end(*_):
    time.sleep(0.5)
    print("last words", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(600)
"""


def spec(name: str, code: str, *, patience: float = 15.0) -> ProcessSpec:
    """A process that runs a few lines of Python."""
    return ProcessSpec(name=name, command=(sys.executable, "-c", code), patience=patience)


def log(home: Path, name: str) -> str:
    """What the process has printed so far."""
    path = home / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


def ready(home: Path, name: str, word: str) -> None:
    """Wait until the process has printed the word."""
    wait_until(lambda: word in log(home, name), description=f"{name} prints {word!r}")


def one(statuses: list[ProcessStatus], name: str) -> ProcessStatus:
    """The status of that name."""
    return next(status for status in statuses if status.name == name)


def child_of(home: Path, name: str) -> int:
    """The pid that a stubborn process reported."""
    return int(log(home, name).split("child ")[1].split()[0])


def gone(*pids: int) -> bool:
    """Whether none of the processes runs."""
    return not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def running(statuses: list[ProcessStatus]) -> list[int]:
    """The pids of the running processes."""
    return [status.pid for status in statuses if status.pid is not None]
