"""Starts, finds and stops the embedded servers of one home folder."""

import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.errors import ConfigurationError
from batchord.ledger.roles.making import Login, Logins
from batchord.settings import SERVERS_FILE

from . import daemons
from .embedded import LOOPBACK, EmbeddedServer, ensure
from .home import Passwords, held, open_home, passwords, write_private
from .interrupts import interrupted_once
from .postgres import Postgres
from .redis import Redis
from .s3 import S3

T = TypeVar("T")

#: Longer than the slowest start, so that a second start waits for the first one to finish.
_TURN_SECONDS = 300.0


class Server(StrEnum):
    """The servers that Batchord can start itself."""

    POSTGRES = "postgres"
    REDIS = "redis"
    S3 = "s3"


ALL_SERVERS = frozenset(Server)

#: A server counts as configured if any of its variables is set.
_VARIABLES = {
    Server.POSTGRES: ("BATCHORD_DATABASE_URL",),
    Server.REDIS: ("BATCHORD_REDIS_URL",),
    # Keys without an endpoint mean Amazon S3.
    Server.S3: ("BATCHORD_S3_ENDPOINT_URL", "BATCHORD_S3_ACCESS_KEY_ID"),
}


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Addresses of the embedded servers, with the names of :class:`batchord.settings.Settings`; None if not started."""

    database_url: str | None = None
    owner_url: str | None = None
    author_url: str | None = None
    source_url: str | None = None
    redis_url: str | None = None
    s3_endpoint_url: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = None

    def database_roles(self) -> DatabaseRoles:
        """The addresses of PostgreSQL's roles. Raises ValueError if PostgreSQL was not started."""
        if not (self.owner_url and self.database_url and self.author_url and self.source_url):
            raise ValueError("PostgreSQL was not started here")
        return DatabaseRoles(
            owner=self.owner_url, ledger=self.database_url, author=self.author_url, source=self.source_url
        )

    def environment(self) -> dict[str, str]:
        """The addresses as environment variables for another process."""
        return {f"BATCHORD_{name.upper()}": value for name, value in asdict(self).items() if value is not None}

    def __repr__(self) -> str:
        """Hides the values: they hold passwords, and a repr ends up in logs and tracebacks."""
        return f"Servers({', '.join(name for name, value in asdict(self).items() if value is not None)})"


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """The present status of one embedded server."""

    name: Server
    #: None if it is stopped.
    pid: int | None
    #: ``127.0.0.1:port`` without a password; None if it is stopped.
    address: str | None
    #: ``running``, ``not answering`` or ``stopped``.
    state: str


def unconfigured_servers(environment: Mapping[str, str]) -> frozenset[Server]:
    """The servers that the environment does not configure, so that the local stack must start them."""
    return frozenset(server for server, names in _VARIABLES.items() if not any(environment.get(name) for name in names))


def start_servers(home: Path, *, needs: Collection[Server] = ALL_SERVERS, durable: bool = True) -> Servers:
    """Starts the servers of ``needs``, waits until they answer, and writes their addresses into ``home``.

    Servers of an earlier process that still run are used again. The servers continue when this process ends. Several
    starts of one home wait for each other. ``durable=False`` is for tests: data may be lost if the machine crashes.

    Raises ConfigurationError if a server cannot run here, TransientError if one hangs, KeyboardInterrupt for SIGINT or
    SIGTERM. In all these cases, the servers that this call started are stopped.
    """
    home = open_home(home)
    with interrupted_once(), held(home / "run" / "stack.lock", timeout=_TURN_SECONDS):
        secrets = passwords(home)
        wanted = {name: server for name, server in _embedded(home, secrets, durable=durable).items() if name in needs}
        not_running = [server for server in wanted.values() if daemons.find(home, server.name) is None]
        try:
            ports = _in_parallel(lambda server: ensure(home, server), wanted.values())
        except BaseException:  # also Ctrl-C: nobody would stop the servers that this call started
            _stop(home, not_running)
            raise
        servers = _addresses(home, secrets, dict(zip(wanted, ports, strict=True)))
        addresses = {name: value for name, value in asdict(servers).items() if value is not None}
        write_private(home / SERVERS_FILE, json.dumps(addresses, indent=2) + "\n")
    return servers


def stop_servers(home: Path) -> None:
    """Stops all embedded servers of this home, each within half a minute. Their data stay.

    It does nothing if none runs. Raises TransientError if another start or stop holds the home's lock for too long.
    """
    home = home.expanduser().absolute()
    if not (home / "run").is_dir():
        return
    with held(home / "run" / "stack.lock", timeout=_TURN_SECONDS):
        # Delete the file first, so that no program reads the address of a server that is about to stop.
        (home / SERVERS_FILE).unlink(missing_ok=True)
        _stop(home, _embedded(home, passwords(home), durable=True).values())


def superuser_url(home: Path) -> str:
    """PostgreSQL's address for its superuser. It is for the person who looks after this home, not for processes.

    Raises ConfigurationError if PostgreSQL does not run.
    """
    home = home.expanduser().absolute()
    daemon = daemons.find(home, Server.POSTGRES)
    if daemon is None:
        raise ConfigurationError(f"No PostgreSQL runs in {home}: start it with `batchord up`.")
    return Postgres(home=home, password=passwords(home).postgres).url(daemon.port)


def server_status(home: Path) -> list[ServerStatus]:
    """The status of each embedded server of this home. It changes nothing."""
    home = home.expanduser().absolute()
    running = {name: daemons.find(home, name) for name in Server}
    if not any(running.values()):
        return [ServerStatus(name=name, pid=None, address=None, state="stopped") for name in Server]
    embedded = _embedded(home, passwords(home), durable=True)
    return [_status(name, embedded[name], daemon) for name, daemon in running.items()]


def _stop(home: Path, servers: Collection[EmbeddedServer]) -> None:
    def stop(server: EmbeddedServer) -> None:
        daemon = daemons.find(home, server.name)
        if daemon is not None:
            daemons.stop(daemon, server.stop_signals)

    _in_parallel(stop, servers)


def _in_parallel(action: Callable[[EmbeddedServer], T], servers: Collection[EmbeddedServer]) -> list[T]:
    # The end of the block waits for all threads, also after an error, so that none continues unnoticed.
    with ThreadPoolExecutor(max_workers=len(ALL_SERVERS), thread_name_prefix="batchord-servers") as threads:
        return list(threads.map(action, servers))


def _status(name: Server, server: EmbeddedServer, daemon: daemons.Daemon | None) -> ServerStatus:
    if daemon is None:
        return ServerStatus(name=name, pid=None, address=None, state="stopped")
    state = "running" if server.answers(daemon.port) else "not answering"
    return ServerStatus(name=name, pid=daemon.pid, address=f"{LOOPBACK}:{daemon.port}", state=state)


def _embedded(home: Path, secrets: Passwords, *, durable: bool) -> dict[Server, EmbeddedServer]:
    return {
        Server.POSTGRES: Postgres(home=home, password=secrets.postgres, roles=_logins(secrets), durable=durable),
        Server.REDIS: Redis(home=home, password=secrets.redis),
        Server.S3: S3(
            home=home, access_key_id=secrets.s3_access_key_id, secret_access_key=secrets.s3_secret_access_key
        ),
    }


def _logins(secrets: Passwords) -> Logins:
    # No role has the name of the ledger's schema: otherwise its tables would be created in that schema.
    return Logins(
        owner=Login(name="batchord_owner", password=secrets.postgres_owner),
        ledger=Login(name="batchord_ledger", password=secrets.postgres_ledger),
        author=Login(name="batchord_author", password=secrets.postgres_author),
        source=Login(name="batchord_source", password=secrets.postgres_source),
    )


def _addresses(home: Path, secrets: Passwords, ports: Mapping[Server, int]) -> Servers:
    addresses: dict[str, str] = {}
    if (port := ports.get(Server.POSTGRES)) is not None:
        server, roles = Postgres(home=home, password=secrets.postgres), _logins(secrets)
        addresses["database_url"] = server.url(port, role=roles.ledger)
        addresses["owner_url"] = server.url(port, role=roles.owner)
        addresses["author_url"] = server.url(port, role=roles.author)
        addresses["source_url"] = server.url(port, role=roles.source)
    if (port := ports.get(Server.REDIS)) is not None:
        addresses["redis_url"] = Redis(home=home, password=secrets.redis).url(port)
    if (port := ports.get(Server.S3)) is not None:
        store = S3(home=home, access_key_id=secrets.s3_access_key_id, secret_access_key=secrets.s3_secret_access_key)
        addresses["s3_endpoint_url"] = store.url(port)
        addresses["s3_access_key_id"] = store.access_key_id
        addresses["s3_secret_access_key"] = store.secret_access_key
    return Servers(**addresses)
