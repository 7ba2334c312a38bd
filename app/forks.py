"""Imports the modules of Celery's commands, then waits for commands and forks a process for each.

Before a fork, nothing here opens a connection or starts a thread: only the fork does so, with the environment of its
command. A module that reads the environment when it is imported must not be imported here, or :func:`_become` must read
its values again.
"""

import gc
import importlib
import json
import os
import selectors
import socket
import sys
import time
from typing import Any

from batchord.core.process import fault_points
from batchord.processes.threads import limit_threads
from batchord.settings import settings

from .localstack.titles import set_title

#: The modules that a worker, beat and Flower share, and others whose import takes long. A module that only a fork
#: imports takes its time and memory once for each of them. ``app.celery`` is left out, and ``workers`` and ``beat``,
#: which import it: it sets FLOWER_CONF, which a fork would lose with the environment. Then Flower would be open.
MODULES = (
    "celery.app.control", "celery.app.events", "celery.app.log", "celery.apps.beat", "celery.apps.worker",
    "celery.backends.redis", "celery.bin.beat", "celery.bin.worker", "celery.concurrency.prefork",
    "celery.concurrency.thread", "celery.events.dispatcher", "celery.events.receiver", "celery.fixups.django",
    "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer", "celery.worker.control",
    "celery.worker.strategy", "billiard.popen_fork", "billiard.sharedctypes", "encodings.ascii", "encodings.idna",
    "kombu.mixins", "kombu.transport.redis", "redbeat", "pandas", "sqlalchemy.dialects.postgresql.psycopg",
    "batchord.core.calendar.daily", "batchord.flow.begin.repair", "batchord.flow.begin.rerun",
    "batchord.flow.dispatch", "batchord.flow.drive.cancel", "batchord.flow.upkeep.audit", "batchord.flow.upkeep.move",
    "batchord.flow.upkeep.prune", "batchord.flow.upkeep.recover", "batchord.flow.upkeep.release",
    "batchord.flow.upkeep.switch", "batchord.flow.upkeep.watch", "batchord.flow.upkeep.watch_files",
    "batchord.queue.publisher", "batchord.queue.redis_server", "batchord.queue.replies", "batchord.queue.sent_times",
    "batchord.wiring",
)  # fmt: skip


def import_modules() -> None:
    """Imports what forks share, and makes its memory one that they can share."""
    # Set before the imports: a fork does not inherit the threads of a numeric library.
    limit_threads(settings().torch_threads)
    for name in MODULES:
        importlib.import_module(name)
    importlib.import_module("batchord.wiring").load_adapters()
    settings.cache_clear()  # they may change until the first fork
    gc.collect()
    # Otherwise a garbage collection in a fork would write into every page, and the forks would share no memory.
    gc.freeze()


def next_command(channel: int) -> list[str]:
    """Forks a process for each command that comes in. It returns only in the fork, with the command's arguments.

    The server itself never returns. It exits when the other end of the channel is closed.
    """
    # The first call also finds the place of the arguments. In a fork it could not: its environment is elsewhere.
    set_title(settings().home, "forks Celery's processes")
    server = _Server(channel)
    while True:
        for request in server.requests():
            pid = os.fork()
            if pid == 0:
                server.close()
                return _become(request)
            server.started(pid)


class _Server:
    """The server's end of the channel, and its running forks."""

    def __init__(self, channel: int) -> None:
        self._channel = socket.socket(fileno=channel)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._channel, selectors.EVENT_READ)
        self._received = b""
        self._pidfds: dict[int, int] = {}

    def requests(self) -> list[dict[str, Any]]:
        """Waits until something happens, and returns the requests that came in."""
        requests: list[dict[str, Any]] = []
        for key, _ in self._selector.select():
            if key.fileobj is self._channel:
                requests += self._read()
            else:
                self._report_end(pid=key.data, pidfd=key.fd)
        return requests

    def _read(self) -> list[dict[str, Any]]:
        try:
            chunk = self._channel.recv(65536)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            # The forks continue: do not signal them and do not wait for them.
            os._exit(0)
        *lines, self._received = (self._received + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def started(self, pid: int) -> None:
        """Reports the start of a fork, and watches for its end."""
        pidfd = self._pidfds[pid] = os.pidfd_open(pid)
        self._selector.register(pidfd, selectors.EVENT_READ, data=pid)
        self._send(started=pid)

    def _report_end(self, *, pid: int, pidfd: int) -> None:
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(pidfd)
        os.close(self._pidfds.pop(pid))
        self._send(ended=pid, code=os.waitstatus_to_exitcode(status))

    def _send(self, **message: int) -> None:
        try:
            self._channel.sendall(json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    def close(self) -> None:
        """Closes the server's descriptors in a fork."""
        self._selector.close()
        for pidfd in self._pidfds.values():
            os.close(pidfd)
        self._channel.close()


def _become(request: dict[str, Any]) -> list[str]:
    """Gives this fork the session, output, folder and environment of its command, and returns its arguments."""
    os.setsid()
    output = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    settings.cache_clear()
    fault_points.read_environment()
    arguments: list[str] = request["arguments"]
    set_title(settings().home, " ".join(["celery", *arguments]))
    if "numpy" in sys.modules:  # otherwise all forks would draw the same random numbers
        sys.modules["numpy"].random.seed()
    return arguments
