"""Starts Celery's processes as forks of one process that has imported what all of them import.

The imports are most of a start, and most of the memory of an idle process: forks have both in common. Authors' code is
never among them. A process whose environment differs in what may be read before or by an import is started as a program
of its own, as are all processes where the system has no pidfds (they exist on Linux only), and when the fork server has
ended.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Self

from batchord.core.errors import ConfigurationError

from . import daemons

#: Celery's commands by Batchord's installed name: they work in every working directory. -P: nothing of that folder
#: takes the place of a module.
CELERY_COMMAND = (sys.executable, "-P", "-m", "batchord.app.celery_command")
#: A worker that is told to stop gives running shards time (worker_soft_shutdown_timeout). Read when Celery is imported.
CELERY_ENVIRONMENT = {"REMAP_SIGTERM": "SIGQUIT"}
#: How variables begin that nothing reads before a fork has its own: any other may be read by an import, as Celery reads
#: REMAP_SIGTERM, or by the system.
_READ_LATER = ("BATCHORD_", "FLOWER_", "AWS_")
#: What `ps` shows of a fork is written over the arguments of its server, which alone would be too short.
_ROOM_FOR_TITLES = " " * 200
_POLL_SECONDS = 0.02


class ForkServer:
    """The client's end of :mod:`batchord.app.forks`. Safe for threads."""

    def __init__(
        self,
        command: Sequence[str] = CELERY_COMMAND,
        *,
        environment: Mapping[str, str] = CELERY_ENVIRONMENT,
        read_later: Sequence[str] = _READ_LATER,
    ) -> None:
        """``command``: the beginning of the commands that it may fork.

        ``environment``: added to this process's. What a command's differs in must begin with one of ``read_later``.
        """
        self._command = tuple(command)
        self._read_later = tuple(read_later)
        self._environment = os.environ | environment
        self._turn = threading.RLock()
        #: What waitpid() said of forks that have ended, by pid; taken out by their :class:`ForkedProcess`.
        self._ended: dict[int, int] = {}
        self._received = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts it; it imports while the caller goes on. Raises ConfigurationError when it cannot be started."""
        if not hasattr(os, "pidfd_open"):
            return
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 -- the command comes from Batchord, not from outside
                    [*self._command, "forks", str(theirs.fileno()), _ROOM_FOR_TITLES],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # Ctrl-C must reach the supervisor only.
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ConfigurationError(f"{self._command[0]} cannot be started: {error}.") from error
        self._channel = ours

    def close(self) -> None:
        """Ends the server, not its forks."""
        with self._turn:
            self._hang_up()
            if self._process is not None:
                self._process.wait()
                self._process = None

    def fork(self, command: Sequence[str], *, environment: Mapping[str, str], log: str) -> "ForkedProcess | None":
        """Starts ``command`` in a session of its own; None when it must be started as a program of its own.

        ``log``: the file that its output is appended to.
        """
        if not self._can_fork(command, environment):
            return None
        # Whoever started it may look there at once, before the fork opens it.
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        arguments = list(command[len(self._command) :])
        request = {"arguments": arguments, "environment": dict(environment), "log": log, "folder": os.getcwd()}  # noqa: PTH109 -- as a text
        with self._turn:
            if self._channel is None:
                return None
            try:
                self._channel.sendall(json.dumps(request).encode() + b"\n")
                pid = self._started()
            except OSError:
                pid = None
            if pid is None:
                self._hang_up()
                return None
            return ForkedProcess(self, pid)

    def _can_fork(self, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        if tuple(command[: len(self._command)]) != self._command:
            return False
        differing = {name for name, _ in set(self._environment.items()) ^ set(environment.items())}
        return all(name.startswith(self._read_later) for name in differing)

    def exit_code(self, pid: int) -> int | None:
        """As of :class:`subprocess.Popen`; None while the fork runs, and of one whose end the server did not see."""
        with self._turn:
            with contextlib.suppress(BlockingIOError):
                while self._channel is not None:
                    self._read(socket.MSG_DONTWAIT)
            return self._ended.pop(pid, None)

    @property
    def ended(self) -> bool:
        """Whether the server has ended, and will say of no fork any more that it ended."""
        return self._channel is None

    def _started(self) -> int | None:
        """The pid of the fork that was asked for; None when the server has ended."""
        while self._channel is not None:
            for message in self._read():
                if "started" in message:
                    return message["started"]
        return None

    def _read(self, flags: int = 0) -> list[dict[str, int]]:
        """The next messages, of which ends are noted. Raises BlockingIOError where none waits and flags say so."""
        assert self._channel is not None  # noqa: S101 -- callers look
        try:
            chunk = self._channel.recv(65536, flags)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self._hang_up()
            return []
        *lines, self._received = (self._received + chunk).split(b"\n")
        messages: list[dict[str, int]] = [json.loads(line) for line in lines]
        self._ended |= {message["ended"]: message["code"] for message in messages if "ended" in message}
        return messages

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


class ForkedProcess:
    """A fork of the server's, used as a :class:`subprocess.Popen` is."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        #: As of Popen; 1 as well for one whose end nobody saw, since the fork server had ended before.
        self.returncode: int | None = None
        self._server = server
        self._daemon = daemons.Daemon(pid=pid, born=daemons.born(pid) or "ended", port=0)

    def poll(self) -> int | None:
        """The exit code, or the negative number of the signal that ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.exit_code(self.pid)
        if self.returncode is None and self._server.ended and not daemons.alive(self._daemon):
            self.returncode = 1
        return self.returncode

    def wait(self) -> int:
        """Returns its exit code when it has ended."""
        while (code := self.poll()) is None:
            time.sleep(_POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
