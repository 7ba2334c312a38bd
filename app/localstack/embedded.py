"""What the three embedded servers have in common: found in a package, on a free port, started until it answers."""

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
#: Below the range from which systems take the ports of outgoing connections, so that few are taken by chance.
PORTS = range(20_000, 32_000)
_START_TRIES = 4
#: PostgreSQL replays its log after a crash, and Valkey loads its data, before they answer.
_ANSWER_SECONDS = 120.0
#: Children of a server that was killed go on for a moment and may still write.
_LEFTOVER_SECONDS = 20.0


class EmbeddedServer(Protocol):
    """One server that runs from a package's binary. Its data are in a folder of its own in the home."""

    @property
    def name(self) -> str:
        """Names its folder, log and lock."""

    @property
    def stop_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        """Signals that end it in order, each with the seconds to wait; clients that hang on do not delay it."""

    def prepare(self, port: int, lock: int) -> None:
        """Make its folder and configuration. Called while no process uses the folder.

        A program that it runs inherits the descriptor ``lock``, which keeps others out should it outlive us.
        """

    def command(self, port: int) -> Sequence[str]:
        """The command that runs it in the foreground. Holds no password: everybody can list processes."""

    def environment(self) -> Mapping[str, str]:
        """Its whole environment."""

    def answers(self, port: int) -> bool:
        """Whether it serves on this port and accepts our password."""

    def finish(self, port: int) -> None:
        """What must exist before clients come, made when missing. Called at each start, re-use included."""


def packaged(package: str, *parts: str) -> Path:
    """A file inside an installed package, found without importing it: importing can run start-up code.

    Raises ConfigurationError when the package, or the file on this platform, is missing.
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
    """This process's environment without Batchord's settings, which hold passwords that no server needs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BATCHORD_")}


def ensure(home: Path, server: EmbeddedServer) -> int:
    """The port on which the server answers, started now or found alive. The caller holds the home's lock.

    Raises ConfigurationError when it cannot be started, TransientError when it runs and does not answer.
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
    # The same port as before where it is free: programs that were told the address find it again.
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
        # Ended at once: most often another program took the port after it was seen free.
        port = free_port()
    raise ConfigurationError(
        f"The local server {server.name} did not start. Its last output:\n{daemons.log_tail(home, server.name)}\n"
        f"All of its output is in {daemons.log_path(home, server.name)}."
    )


def _answered(server: EmbeddedServer, daemon: Daemon) -> bool:
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        # Alive is asked after the answer: a foreign program on our port may answer while ours is ending.
        answers = server.answers(daemon.port)
        if not daemons.alive(daemon):
            return False
        if answers:
            return True
        time.sleep(0.02)
    return False


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Any port on which nobody listens. Raises ConfigurationError when there is none."""
    # Chosen by chance, not counted up: two homes that start together rarely want the same one.
    for _ in range(200):
        port = random.choice(PORTS)  # noqa: S311 -- nothing secret about a port
        if is_free(port):
            return port
    raise ConfigurationError(f"No port between {PORTS.start} and {PORTS.stop} is free on {LOOPBACK}.")
