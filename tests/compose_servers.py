"""The three servers of docker-compose.yml with programs of installed packages instead of images.

They differ from the images in three ways. The ports are free ports of loopback. Our own embedded server makes
PostgreSQL's cluster, while the image's entrypoint runs ``initdb`` with POSTGRES_INITDB_ARGS. And no entrypoint changes
the user.
"""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from app.localstack.claims import claim_port
from app.localstack.home import held, open_home
from app.localstack.postgres import Postgres
from app.localstack.redis import Redis
from tests.compose_commands import BARE_ENVIRONMENT, Service, compose_file, interpolated, variables

LOOPBACK = "127.0.0.1"
_PORTS = (
    *("postgres", "redis", "flower", "s3", "master", "volume", "filer"),
    *("s3.grpc", "master.grpc", "volume.grpc", "filer.grpc"),
)
#: No package has valkey-cli. This program makes the same request, with the same variable.
_PING = "import os, redis; redis.Redis(port={port}, password=os.environ['REDISCLI_AUTH']).ping()"


class LocalPlace:
    """The place of the services in a test: their own ports, folders below ``folder``, random passwords."""

    def __init__(self, folder: Path) -> None:
        self.folder = open_home(folder)
        #: They are closed when the test is over, so that no other test takes a port while a service restarts.
        self._claims = {name: claim_port() for name in _PORTS}
        self.ports = {name: claim.port for name, claim in self._claims.items()}
        required = [name for name, default in variables(str(compose_file())).items() if default is None]
        passwords = {name: secrets.token_hex(12) for name in required}
        flower = {"FLOWER_BASIC_AUTH": f"flower:{passwords['FLOWER_BASIC_AUTH']}"}
        self.values = passwords | flower | {"WORKER_PROCESSES": "1"}
        self.pipelines = self._folder("pipelines")
        self.postgres = Postgres(home=self.folder, password=self.values["POSTGRES_PASSWORD"], durable=False)

    def service(self, name: str) -> Service:
        """The service with the changes for this machine, ready to be started."""
        read = Service.read(name, local=self._local(), values=self.values)
        prepared = {"postgres": self._postgres, "redis": self._redis, "s3": self._s3}
        return prepared[name](read) if name in prepared else read

    def close(self) -> None:
        """Gives the ports back, and deletes the files that a killed SeaweedFS leaves in ``/tmp``."""
        for claim in self._claims.values():
            claim.close()
        for port in self.ports.values():
            for file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 -- the server's own choice
                file.unlink()

    def _local(self) -> Mapping[str, str]:
        return {
            "@postgres:5432": f"@{LOOPBACK}:{self.ports['postgres']}",
            "@redis:6379": f"@{LOOPBACK}:{self.ports['redis']}",
            "//s3:8333": f"//{LOOPBACK}:{self.ports['s3']}",
            "8333": str(self.ports["s3"]),
            "5555": str(self.ports["flower"]),
            "0.0.0.0": LOOPBACK,  # noqa: S104 -- replaced, so that no service listens there
            "/srv/batchord/pipelines": str(self.pipelines),
            "/var/lib/batchord": str(self._folder("home")),
            "/etc/valkey.conf": str(self.folder / "valkey.conf"),
            "-dir=/data": f"-dir={self._folder('s3')}",
        }

    def _postgres(self, read: Service) -> Service:
        port = self.ports["postgres"]
        with held(self.folder / "run" / "postgres.lock", timeout=0) as lock:
            self.postgres.prepare(port, lock)
        embedded = list(self.postgres.command(port))
        program = embedded[: embedded.index("-D") + 2]
        here = {"listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": ""}
        return replace(
            read,
            command=[*program, *read.command[1:], *(f"--{name}={value}" for name, value in here.items())],
            environment=read.environment | {"PATH": _with(program[-3]), "PGPORT": str(port)},
        )

    def _redis(self, read: Service) -> Service:
        port = self.ports["redis"]
        program = Redis(home=self.folder, password="").command(port)[0]
        content = interpolated(compose_file()["configs"]["redis"]["content"], self.values)
        content = content.replace("dir /data", f"dir {self._folder('redis')}")
        (self.folder / "valkey.conf").write_text(f"{content}\nbind {LOOPBACK}\nport {port}\n", encoding="utf-8")
        return replace(
            read,
            environment=read.environment | {"PATH": _with(program)},
            check=[sys.executable, "-c", _PING.format(port=port)],
        )

    def _s3(self, read: Service) -> Service:
        inner = [f"-{name.replace('.', '.port.', 1)}" for name in self.ports if name.endswith(".grpc")]
        flags = [f"{flag}={self.ports[flag[1:].replace('.port.', '.', 1)]}" for flag in inner]
        flags += [f"-{name}.port={self.ports[name]}" for name in ("master", "volume", "filer")]
        return replace(read, command=["weed", *read.command, *flags])

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder


def _with(program: str) -> str:
    """The search path with the program's folder first."""
    return f"{Path(program).parent}:{BARE_ENVIRONMENT['PATH']}"
