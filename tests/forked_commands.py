"""The ``batchord`` command of tests, as forks of one process that has imported what it imports.

Each is a process of its own, with its own environment, output and exit code; only its imports are done already, which
take most of a command's processor time. Tests of starts, of imports and of terminals run the command as users do.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

#: What an environment may differ in from that of this process: what is read when a command runs, not when it imports.
_READ_LATER = ("BATCHORD_", "AWS_", "PYTEST_", "REMAP_SIGTERM", "HOME")
_ROOT = Path(__file__).parents[1]
_MESSAGE_BYTES = 2**20
_MODULES = (
    "celery.app.control", "celery.backends.redis", "kombu.transport.redis", "psycopg_pool", "redis", "redbeat",
    "rich.progress", "rich.table", "rich.live", "batchord.flow.dispatch", "batchord.queue.publisher",
    "batchord.queue.redis_server", "batchord.queue.replies", "batchord.wiring",
)  # fmt: skip


class ForkedCommands:
    """Starts the process that forks with the first command, and ends it with the block.

    ``environment``: added to that of this process.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._turn = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._environment = {**os.environ, **environment}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._server is not None:
            self._server.wait()

    def can_fork(self, environment: Mapping[str, str]) -> bool:
        """Whether a fork would see what a new process with this environment sees."""
        differing = {name for name, _ in set(self._environment.items()) ^ set(environment.items())}
        return all(name.startswith(_READ_LATER) for name in differing)

    def run(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; it reads nothing. Raises subprocess.TimeoutExpired after killing it."""
        ours, theirs = socket.socketpair()
        with ours, theirs, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            request = {"arguments": list(arguments), "environment": dict(environment), "folder": os.getcwd()}  # noqa: PTH109 -- as a text
            descriptors = [theirs.fileno(), output.fileno(), errors.fileno()]
            with self._turn:
                socket.send_fds(self._started(), [json.dumps(request).encode()], descriptors)
            theirs.close()
            ours.settimeout(timeout)
            with ours.makefile("r") as answers:
                pid = int(answers.readline())
                try:
                    code = int(answers.readline())
                except TimeoutError:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(arguments, timeout, _text(output), _text(errors)) from None
            return subprocess.CompletedProcess(["batchord", *arguments], code, _text(output), _text(errors))

    def _started(self) -> socket.socket:
        if self._channel is None:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for end in (self._channel, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE_BYTES)
            with theirs:
                command = [sys.executable, "-m", "tests.forked_commands", str(theirs.fileno())]
                self._server = subprocess.Popen(
                    command,
                    cwd=_ROOT,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
        return self._channel


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _next_command(channel: socket.socket) -> list[str]:
    """Forks for each request. It returns only in the fork; the process itself ends when the channel is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the watchers
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 3)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            channel.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _watched(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _watched(request: dict[str, Any], descriptors: Sequence[int]) -> list[str]:
    """Forks the command's own process, in which it returns. This process tells its pid and its end, and ends."""
    answers, *outputs = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(answers)
        return _become(request, outputs)
    os.write(answers, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError, ConnectionResetError):  # who asked waits no longer
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(request: dict[str, Any], outputs: Sequence[int]) -> list[str]:
    for place, descriptor in zip((1, 2), outputs, strict=True):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    importlib.import_module("batchord.settings").settings.cache_clear()
    importlib.import_module("batchord.core.process.fault_points").read_environment()
    arguments: list[str] = request["arguments"]
    return arguments


def _main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    cli = importlib.import_module("batchord.app.cli")
    for name in (*(module.name for module in pkgutil.iter_modules(cli.__path__, f"{cli.__name__}.")), *_MODULES):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    sys.argv = ["batchord", *_next_command(channel)]
    cli.main()


if __name__ == "__main__":
    _main()
