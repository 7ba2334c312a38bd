"""Keeps the local stack running: it starts servers and processes again when they end, and stops them together."""

import contextlib
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Self

from batchord.core.errors import BatchordError, ConfigurationError, TransientError

from . import daemons
from .addresses import Server
from .fork_server import ForkServer
from .guard import Guard
from .holders import end_guard, hold
from .home import held, open_home, write_private
from .interrupts import on_interrupt
from .processes import Backoff, ProcessSpec, ProcessStatus, SupervisedProcess
from .rotation import LogRotation
from .servers import start_servers, stop_servers, turn
from .titles import project_name

_log = logging.getLogger(__name__)
#: The name of the supervisor's lock, note and log in the home.
NAME = "supervisor"
#: The file, relative to the home, in which other programs find what :meth:`Supervisor.status` returns.
STATUS_FILE = "run/processes.json"
_TEND_SECONDS = 0.1
_SERVERS_SECONDS = 1.0


class Supervisor:
    """Runs first ``servers`` and then ``specs`` in their order. A home can have one supervisor.

    Whatever happens to this process, even Ctrl-C at any moment or SIGKILL, no process of ``specs`` outlives it by more
    than seconds. Servers outlive a SIGKILL, and the next start uses them again.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        home: Path,
        *,
        servers: Collection[Server] = (),
        backoff: Backoff | None = None,
        fork_server: ForkServer | None = None,
        rotation: LogRotation | None = None,
    ) -> None:
        """``fork_server``: started by the caller, and ended when the processes have ended.

        ``rotation``: None: that of the settings' defaults.
        """
        self._rotation = rotation or LogRotation()
        self._fork_server = fork_server
        self._specs = specs
        self._home = home.expanduser().absolute()
        self._servers = frozenset(servers)
        self._backoff = backoff or Backoff()
        self._processes: list[SupervisedProcess] = []
        self._turn = threading.RLock()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._tending: threading.Thread | None = None
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        except KeyboardInterrupt:  # it came just before stop() began to handle signals
            self._hurry.set()
            self.stop()
            raise

    def start(self) -> None:
        """Starts everything or nothing: after an error or Ctrl-C, it stops what it has started.

        Raises ConfigurationError if a supervisor already runs in this home, or if something cannot be started.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        open_home(self._home)
        try:
            lock = self._resources.enter_context(held(daemons.lock_path(self._home, NAME), timeout=0))
        except TransientError as error:
            raise ConfigurationError(
                f"The local stack in {self._home} is already running. Stop it with `batchord down`. For a second "
                "stack, set BATCHORD_HOME to another folder."
            ) from error
        # The guard holds the lock, too, so that no supervisor starts here before the guard has cleaned up.
        guard = Guard(inherit=(lock,), project=project_name(self._home))
        self._resources.callback(guard.close)
        self._resources.callback(daemons.forget, self._home, NAME)
        daemons.note(self._home, NAME, os.getpid(), port=0)
        if self._servers:
            self._resources.callback(stop_servers, self._home)
            # Let go before the servers are stopped. Without a guard: what `batchord up` runs stays until `down`.
            self._resources.enter_context(hold(self._home))
            start_servers(self._home, needs=self._servers)
            with turn(self._home):
                end_guard(self._home)
        for spec in self._specs:
            process = SupervisedProcess(spec, self._home, guard, self._backoff, self._fork_server)
            self._processes.append(process)
            process.start()
        self._write_status()
        self._tending = threading.Thread(target=self._tend, name="batchord-supervisor", daemon=True)
        self._tending.start()

    def stop(self, *, patience: float | None = None) -> None:
        """Stops the processes in reverse order, then the servers. Another Ctrl-C or SIGTERM kills those that still run.

        It may be called again, and after a failed start. ``patience``: seconds for each process to end by itself,
        instead of those of its spec.
        """
        with on_interrupt(lambda _: self._hurry.set()):
            self._stopping.set()
            if self._tending is not None:
                self._tending.join()
            with self._turn:
                for process in reversed(self._processes):
                    own = process.spec.patience if patience is None else patience
                    process.stop(patience=own, in_a_hurry=self._hurry.is_set)
                if self._tending is not None:  # a failed start is not reported
                    self._write_status()
            self._resources.close()

    def status(self) -> list[ProcessStatus]:
        """The status of each process, in the order of ``specs``."""
        with self._turn:
            return [process.status() for process in self._processes]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to a process. Raises ConfigurationError if no process of that name runs."""
        with self._turn:
            for process in self._processes:
                if process.spec.name == name and process.send(number):
                    return
        names = ", ".join(spec.name for spec in self._specs)
        raise ConfigurationError(f"No process {name!r} runs here; this supervisor has: {names}.")

    def _tend(self) -> None:
        checked = time.monotonic()
        while not self._stopping.wait(_TEND_SECONDS):
            with self._turn:
                # Not any(), which would stop at the first change: every process must be tended.
                if True in [process.tend() for process in self._processes]:
                    self._write_status()
            if time.monotonic() - checked >= _SERVERS_SECONDS:
                self._tend_servers()
                self._rotation.rotate(self._home / "logs")
                checked = time.monotonic()

    def _tend_servers(self) -> None:
        ended = [server for server in self._servers if daemons.find(self._home, server) is None]
        if not ended:
            return
        _log.warning("These servers ended and are started again: %s", ", ".join(sorted(ended)))
        try:
            start_servers(self._home, needs=self._servers)
        except BatchordError:
            _log.exception("The servers could not be started again. The next try is in %.0f s.", _SERVERS_SECONDS)

    def _write_status(self) -> None:
        statuses = [asdict(status) for status in self.status()]
        now = time.time()
        for status in statuses:
            status["started"] = now - status.pop("uptime")
        patience = sum(spec.patience for spec in self._specs)
        contents = {"supervisor": os.getpid(), "processes": statuses, "patience": patience}
        with contextlib.suppress(FileNotFoundError):  # somebody has deleted the home
            write_private(self._home / STATUS_FILE, json.dumps(contents))


def run(
    home: Path,
    specs: Sequence[ProcessSpec],
    servers: Collection[Server],
    *,
    rotation: LogRotation,
    fork_server: ForkServer,
) -> None:
    """Supervise until SIGTERM or SIGINT. Raises as :meth:`Supervisor.start`.

    ``fork_server``: started by the caller, and closed here.
    """
    asked = threading.Event()
    with (
        on_interrupt(lambda _: asked.set()),
        contextlib.closing(fork_server),
        Supervisor(specs, home, servers=servers, fork_server=fork_server, rotation=rotation),
    ):
        asked.wait()
