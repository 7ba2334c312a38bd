"""Names in the ledger for processes that work by themselves. Others on the machine see by them who has ended.

Such a name is ``host:pid@place.birth``. The place stands for the running kernel and the namespaces in which the pid and
the time of birth are counted, so a process in another container, on another machine or before a restart is never taken
for dead. The time of birth distinguishes the process from a later one with its pid. Celery's processes have plain names
``host:pid``: their parent process reports their end.
"""

import hashlib
import os
import re
import socket
from pathlib import Path

from batchord.processes.births import exists, life

_NAME = re.compile(r"(?P<plain>.+:(?P<pid>\d+))@(?P<place>[0-9a-f]{8})\.(?P<birth>\d+)")


def local_name() -> str:
    """The name of this process. Where the system does not show what is needed, it is ``host:pid`` only."""
    plain, place, birth = f"{socket.gethostname()}:{os.getpid()}", _place(), _birth(os.getpid())
    return plain if place is None or birth is None else f"{plain}@{place}.{birth}"


def plain_name(worker: str) -> str:
    """A worker's name for people: ``host:pid``."""
    match = _NAME.fullmatch(worker)
    return worker if match is None else match["plain"]


def has_ended(worker: str) -> bool:
    """Whether this machine can tell that the process with this name has ended. False if it cannot tell."""
    match = _NAME.fullmatch(worker)
    if match is None or match["place"] != _place() or not worker.startswith(f"{socket.gethostname()}:"):
        return False
    pid = int(match["pid"])
    began, zombie = life(pid)
    if began is None:  # or /proc hides the processes of other users
        return not exists(pid)
    return zombie or began.rpartition(":")[2] != match["birth"]


def _birth(pid: int) -> str | None:
    began, _ = life(pid)
    return None if began is None else began.rpartition(":")[2]


def _place() -> str | None:
    """A digest of what a pid and a time of birth refer to; None if the system does not show it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        spaces = [str(Path("/proc/self/ns/pid").readlink()), *_time_namespace()]
    except OSError:
        return None
    return hashlib.sha256(":".join([boot, *spaces]).encode()).hexdigest()[:8]


def _time_namespace() -> list[str]:
    """Times of birth count from the start of the namespace; kernels before 5.6 have none."""
    place = Path("/proc/self/ns/time")
    return [str(place.readlink())] if place.is_symlink() else []
