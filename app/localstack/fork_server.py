"""Starts Celery's processes as forks of one process that has imported what all of them import.

Imports take most of the time of a start and most of the memory of an idle process. Forks share both, and the supervisor
shares them, too. The shared imports never include authors' code. Some processes are started as programs of their own:
those whose environment differs in a variable that an import may read, all processes on systems without pidfds (only
Linux has them), and all processes after the fork server has ended.
"""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Self

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause
from batchord.processes.births import born

from . import daemons

#: Celery's commands by Batchord's installed name, which works in every working directory. -P: no file in that folder
#: replaces a module.
CELERY_COMMAND = (sys.executable, "-P", "-m", "batchord.app.celery_command")
#: With this, a stopping worker gives running shards time (worker_soft_shutdown_timeout). Celery's import reads it.
CELERY_ENVIRONMENT = {"REMAP_SIGTERM": "SIGQUIT"}
#: The prefixes of variables that nothing reads before the fork has its own environment. An import, or the system, may
#: read any other variable, as Celery's import reads REMAP_SIGTERM.
_READ_LATER = ("BATCHORD_", "FLOWER_", "AWS_")
#: Makes the server's arguments longer: the title of a fork in `ps` is written over them and needs room.
ROOM_FOR_TITLES = " " * 200
_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.02


class ForkServer:
    """The client of :mod:`batchord.app.forks`. Safe for threads."""

    def __init__(
        self,
        command: Sequence[str] = CELERY_COMMAND,
        *,
        environment: Mapping[str, str] = CELERY_ENVIRONMENT,
        read_later: Sequence[str] = _READ_LATER,
    ) -> None:
        """``command``: the beginning of all commands that it may fork.

        ``environment``: added to this process's environment. A fork is possible only if the command's environment
        differs from this one in no variable except those that begin with one of ``read_later``.
        """
        self._command = tuple(command)
        self._read_later = tuple(read_later)
        self._environment = os.environ | environment
        self._turn = threading.RLock()
        #: The exit codes of forks that have ended, by pid, until their :class:`ForkedProcess` takes them.
        self._ended: dict[int, int] = {}
        self._received = b""
        #: Waits for the server's end; None before its start, and once it has been waited for.
        self._await_end: Callable[[], object] | None = None
        self._has_imported = False
        self._channel: socket.socket | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts the server as a program, which imports while the caller continues.

        Raises ConfigurationError if it cannot start.
        """
        if not hasattr(os, "pidfd_open"):
            return
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 -- the command comes from Batchord, not from outside
                    [*self._command, "forks", str(theirs.fileno()), ROOM_FOR_TITLES],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # Ctrl-C must reach the supervisor only.
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ConfigurationError(f"{self._command[0]} cannot be started: {clause(error)}.") from error
        self._channel = ours
        self._await_end = process.wait

    def import_modules(self) -> None:
        """Imports for :meth:`split_off`. Nothing of it reads a setting that is kept."""
        if not hasattr(os, "pidfd_open"):
            return
        # Imported here: no other program needs it.
        from .. import forks

        own_environment = dict(os.environ)
        os.environ.update(self._environment)
        try:
            forks.import_modules()
        except Exception:  # noqa: BLE001 -- without it, processes start as programs of their own
            _log.exception("Celery's processes are started as programs of their own, since this import failed.")
        else:
            self._has_imported = True
        finally:
            os.environ.clear()
            os.environ.update(own_environment)

    def split_off(self) -> None:
        """Starts the server as a fork of this process, so that the two share the memory of the modules.

        This process must have no thread and no connection yet. The server's own forks end within this call.
        """
        if not self._has_imported:
            return
        from .. import celery_command, forks

        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            # Ctrl-C must reach the supervisor only.
            os.setsid()
            celery_command.run(forks.next_command(theirs.detach()))
            sys.exit()
        theirs.close()
        self._channel = ours
        self._await_end = partial(os.waitpid, pid, 0)

    def close(self) -> None:
        """Ends the server, not its forks."""
        with self._turn:
            self._hang_up()
            self._reap()

    def fork(self, command: Sequence[str], *, environment: Mapping[str, str], log: str) -> "ForkedProcess | None":
        """Forks a process for ``command`` in a new session; None if it must be started as a program of its own.

        ``log``: the file to which its output is appended.
        """
        if not self._can_fork(command, environment):
            return None
        # Create the file now: the caller may read it before the fork opens it.
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
        """The exit code as in :class:`subprocess.Popen`; None while the fork runs, or if the server missed its end."""
        with self._turn:
            with contextlib.suppress(BlockingIOError):
                while self._channel is not None:
                    self._read(socket.MSG_DONTWAIT)
            return self._ended.pop(pid, None)

    @property
    def ended(self) -> bool:
        """Whether the server has ended. Then it reports no ends of forks any more."""
        return self._channel is None

    def _started(self) -> int | None:
        """The pid of the requested fork; None if the server has ended."""
        while self._channel is not None:
            for message in self._read():
                if "started" in message:
                    return message["started"]
        return None

    def _read(self, flags: int = 0) -> list[dict[str, int]]:
        """The next messages; notes the ends among them. With MSG_DONTWAIT, raises BlockingIOError if none waits."""
        assert self._channel is not None  # noqa: S101 -- callers check it
        try:
            chunk = self._channel.recv(65536, flags)
        except ConnectionError:
            chunk = b""
        if not chunk:
            _log.warning(
                "The process that forks Celery's processes has ended. They continue; those that end are started again "
                "as programs of their own."
            )
            self._hang_up()
            self._reap()  # it has closed its end of the channel
            return []
        *lines, self._received = (self._received + chunk).split(b"\n")
        messages: list[dict[str, int]] = [json.loads(line) for line in lines]
        self._ended |= {message["ended"]: message["code"] for message in messages if "ended" in message}
        return messages

    def _reap(self) -> None:
        if self._await_end is not None:
            self._await_end()
            self._await_end = None

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


class ForkedProcess:
    """A fork of the server, with the methods of :class:`subprocess.Popen`."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        #: As in Popen; 1 as well if nobody saw the end.
        self.returncode: int | None = None
        #: Whether it ended after the fork server, which alone can see the exit code.
        self.is_unseen = False
        self._server = server
        self._daemon = daemons.Daemon(pid=pid, born=born(pid) or "ended", port=0)

    def poll(self) -> int | None:
        """The exit code, or the negative number of the signal that ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.exit_code(self.pid)
        if self.returncode is None and self._server.ended and not daemons.alive(self._daemon):
            self.returncode, self.is_unseen = 1, True
        return self.returncode

    def wait(self) -> int:
        """Waits until it has ended, and returns its exit code."""
        while (code := self.poll()) is None:
            time.sleep(_POLL_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
