"""Keeps the local stack running: servers and processes, started again when they end, stopped together."""

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
from .fork_server import ForkServer
from .guard import Guard
from .home import held, open_home, write_private
from .interrupts import on_interrupt
from .processes import Backoff, ProcessSpec, ProcessStatus, SupervisedProcess
from .servers import Server, start_servers, stop_servers

_log = logging.getLogger(__name__)
#: Names the supervisor's lock, note and log in the home.
NAME = "supervisor"
#: Relative to the home: what :meth:`Supervisor.status` says, for other programs.
STATUS_FILE = "run/processes.json"
_TEND_SECONDS = 0.1
_SERVERS_SECONDS = 1.0


class Supervisor:
    """Runs ``specs`` in order, after the servers of ``servers``; one supervisor per home.

    Whatever happens to this process, Ctrl-C at any moment and SIGKILL included, no process of ``specs``
    outlives it by more than seconds. Servers outlive SIGKILL, and the next start uses them again.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        home: Path,
        *,
        servers: Collection[Server] = (),
        backoff: Backoff | None = None,
        fork_server: ForkServer | None = None,
    ) -> None:
        """``fork_server``: started by the caller, and ended when the processes have ended."""
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
        except KeyboardInterrupt:  # in the moment before stop() began to listen for it
            self._hurry.set()
            self.stop()
            raise

    def start(self) -> None:
        """Start everything, or nothing: an error, or Ctrl-C, stops what was started.

        Raises ConfigurationError when a supervisor runs in this home already or something cannot be started.
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
        # The guard holds the lock too: nobody starts here before it has cleaned up.
        guard = Guard(inherit=(lock,))
        self._resources.callback(guard.close)
        self._resources.callback(daemons.forget, self._home, NAME)
        daemons.note(self._home, NAME, os.getpid(), port=0)
        if self._servers:
            self._resources.callback(stop_servers, self._home)
            start_servers(self._home, needs=self._servers)
        for spec in self._specs:
            process = SupervisedProcess(spec, self._home, guard, self._backoff, self._fork_server)
            self._processes.append(process)
            process.start()
        self._say()
        self._tending = threading.Thread(target=self._tend, name="batchord-supervisor", daemon=True)
        self._tending.start()

    def stop(self, *, patience: float | None = None) -> None:
        """Stop the processes, last first, then the servers. Ctrl-C or SIGTERM meanwhile kills what is left.

        Can be called again, and after a start that failed. ``patience``: seconds for each process to end by
        itself, instead of its own.
        """
        with on_interrupt(lambda _: self._hurry.set()):
            self._stopping.set()
            if self._tending is not None:
                self._tending.join()
            with self._turn:
                for process in reversed(self._processes):
                    own = process.spec.patience if patience is None else patience
                    process.stop(patience=own, in_a_hurry=self._hurry.is_set)
                if self._tending is not None:  # not after a failed start: what was never up is not reported
                    self._say()
            self._resources.close()

    def status(self) -> list[ProcessStatus]:
        """Every process in the order of ``specs``."""
        with self._turn:
            return [process.status() for process in self._processes]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process, as an accident would. Raises ConfigurationError when it does not run."""
        with self._turn:
            for process in self._processes:
                if process.spec.name == name and process.send(number):
                    return
        known = ", ".join(spec.name for spec in self._specs)
        raise ConfigurationError(f"No process {name!r} runs here; this supervisor has: {known}.")

    def _tend(self) -> None:
        checked = time.monotonic()
        while not self._stopping.wait(_TEND_SECONDS):
            with self._turn:
                # Not any(): every process is tended.
                if True in [process.tend() for process in self._processes]:
                    self._say()
            if time.monotonic() - checked >= _SERVERS_SECONDS:
                self._tend_servers()
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

    def _say(self) -> None:
        statuses = [asdict(status) for status in self.status()]
        now = time.time()
        for status in statuses:
            status["started"] = now - status.pop("uptime")
        patience = sum(spec.patience for spec in self._specs)
        said = {"supervisor": os.getpid(), "processes": statuses, "patience": patience}
        with contextlib.suppress(FileNotFoundError):  # the home was deleted meanwhile
            write_private(self._home / STATUS_FILE, json.dumps(said))


def run(home: Path, specs: Sequence[ProcessSpec], servers: Collection[Server]) -> None:
    """Supervise until SIGTERM or SIGINT. Raises as :meth:`Supervisor.start`."""
    asked = threading.Event()
    with (
        on_interrupt(lambda _: asked.set()),
        ForkServer() as fork_server,  # it imports while the servers start
        Supervisor(specs, home, servers=servers, fork_server=fork_server),
    ):
        asked.wait()
