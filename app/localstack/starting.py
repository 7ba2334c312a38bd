"""Starts the supervisor in the background, before it is known what it is to run: its imports take a second."""

import json
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from batchord.core.errors import ConfigurationError
from batchord.processes.births import born

from . import daemons
from .addresses import Server
from .background import CLEANING_SECONDS, STOP_SECONDS, lost_supervisor, refuse_second, status_file
from .daemons import Daemon
from .fork_server import ROOM_FOR_TITLES
from .home import held, open_home
from .interrupts import uninterrupted
from .processes import ProcessSpec
from .rotation import LogRotation
from .supervisor import NAME

#: Longer than the slowest start of a server.
_START_SECONDS = 180.0
_POLL_SECONDS = 0.05
#: By its installed name: it is found from every working directory.
_MODULE = "batchord.app.localstack"


class ComingSupervisor:
    """A supervisor that imports and waits to hear what to run."""

    def __init__(self, home: Path, pipe: int) -> None:
        """``pipe``: the end to write to of its standard input. It ends when that is closed before it heard anything."""
        self._home = home
        self._pipe = open(pipe, "w", encoding="utf-8")  # noqa: SIM115 -- leave() closes it
        self._patience = 0.0
        self._supervises = False
        #: Its process, once it has been started.
        self.daemon: Daemon | None = None

    def run(
        self,
        specs: Sequence[ProcessSpec],
        *,
        servers: Collection[Server] = (),
        folder: Path | None = None,
        rotation: LogRotation | None = None,
    ) -> int:
        """Makes it start servers and processes, and outlive this program. Returns its pid.

        ``folder``: the processes' working directory; None: this program's own. Returns once all of them have been
        started. Raises ConfigurationError if the stack cannot be started; then none of its processes run.
        """
        if lost_supervisor(self._home) is not None:  # wait for its guard, which still ends its processes
            with held(daemons.lock_path(self._home, NAME), timeout=CLEANING_SECONDS):
                pass
        contents = {
            "servers": sorted(servers),
            "processes": [{**vars(process), "env": dict(process.env)} for process in specs],
            "folder": str(folder or Path.cwd()),
            "rotation": asdict(rotation or LogRotation()),
        }
        self._patience = sum(process.patience for process in specs)
        with suppress(BrokenPipeError):  # it has ended: the error below says so
            self._pipe.write(json.dumps(contents))
            self._pipe.close()
        deadline = time.monotonic() + _START_SECONDS
        while self.daemon is not None and daemons.alive(self.daemon) and time.monotonic() < deadline:
            if status_file(self._home).get("supervisor") == self.daemon.pid:
                self._supervises = True
                return self.daemon.pid
            time.sleep(_POLL_SECONDS)
        raise ConfigurationError(f"The local stack did not start:\n{daemons.log_tail(self._home, NAME, lines=4)}")

    def leave(self) -> None:
        """Ends it, unless it supervises."""
        with suppress(BrokenPipeError):
            self._pipe.close()
        if not self._supervises and self.daemon is not None:
            daemons.stop(self.daemon, ((signal.SIGTERM, STOP_SECONDS + self._patience),))


@contextmanager
def coming_supervisor(home: Path) -> Iterator[ComingSupervisor]:
    """Starts the supervisor's process, which imports while the block prepares what it is to run.

    It ends with the block, or with this program, unless :meth:`ComingSupervisor.run` has made it start the stack.
    Raises ConfigurationError if a supervisor already runs in this home.
    """
    home = open_home(home)
    refuse_second(home)
    command = [sys.executable, "-P", "-m", _MODULE, "--home", str(home), ROOM_FOR_TITLES]
    reading, writing = os.pipe()
    supervisor = ComingSupervisor(home, writing)
    try:
        try:
            with uninterrupted():
                pid = daemons.spawn(home, NAME, command, environment=os.environ, stdin=reading)
                supervisor.daemon = Daemon(pid=pid, born=born(pid) or "ended", port=0)
        finally:
            os.close(reading)
        yield supervisor
    finally:  # also after Ctrl-C
        supervisor.leave()


def start_background(
    home: Path,
    specs: Sequence[ProcessSpec],
    *,
    servers: Collection[Server] = (),
    folder: Path | None = None,
    rotation: LogRotation | None = None,
) -> int:
    """Starts servers and processes under a supervisor that outlives this program. Returns the supervisor's pid.

    Raises as :func:`coming_supervisor` and as :meth:`ComingSupervisor.run`, which explains the arguments.
    """
    with coming_supervisor(home) as supervisor:
        return supervisor.run(specs, servers=servers, folder=folder, rotation=rotation)
