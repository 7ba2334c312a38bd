"""The embedded servers of one home folder, and their addresses."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.ledger.roles.making import Login, Logins
from batchord.settings import SERVERS_FILE

from .embedded import EmbeddedServer
from .home import Passwords, write_private
from .postgres import Postgres
from .redis import Redis
from .s3 import S3


class Server(StrEnum):
    """The servers that Batchord can start itself."""

    POSTGRES = "postgres"
    REDIS = "redis"
    S3 = "s3"


ALL_SERVERS = frozenset(Server)

#: A server counts as configured if somebody gave any of its settings.
_SETTINGS = {
    Server.POSTGRES: ("database_url",),
    Server.REDIS: ("redis_url",),
    # Keys without an endpoint mean Amazon S3.
    Server.S3: ("s3_endpoint_url", "s3_access_key_id"),
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


def unconfigured_servers(given: Collection[str]) -> frozenset[Server]:
    """The servers that nobody has configured, so that the local stack must start them.

    ``given``: the names of the settings that a person gave; see :func:`batchord.settings.given_settings`.
    """
    return frozenset(server for server, names in _SETTINGS.items() if not any(name in given for name in names))


def embedded_servers(home: Path, secrets: Passwords, *, durable: bool) -> dict[Server, EmbeddedServer]:
    """The servers of a home, running or not."""
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


def addresses(home: Path, secrets: Passwords, ports: Mapping[Server, int]) -> Servers:
    """The addresses of the servers that listen on ``ports``."""
    found: dict[str, str] = {}
    if (port := ports.get(Server.POSTGRES)) is not None:
        server, roles = Postgres(home=home, password=secrets.postgres), _logins(secrets)
        found["database_url"] = server.url(port, role=roles.ledger)
        found["owner_url"] = server.url(port, role=roles.owner)
        found["author_url"] = server.url(port, role=roles.author)
        found["source_url"] = server.url(port, role=roles.source)
    if (port := ports.get(Server.REDIS)) is not None:
        found["redis_url"] = Redis(home=home, password=secrets.redis).url(port)
    if (port := ports.get(Server.S3)) is not None:
        store = S3(home=home, access_key_id=secrets.s3_access_key_id, secret_access_key=secrets.s3_secret_access_key)
        found["s3_endpoint_url"] = store.url(port)
        found["s3_access_key_id"] = store.access_key_id
        found["s3_secret_access_key"] = store.secret_access_key
    return Servers(**found)


def write_addresses(home: Path, servers: Servers) -> None:
    """Writes the addresses into the home's file, where the settings of other processes find them."""
    values = {name: value for name, value in asdict(servers).items() if value is not None}
    write_private(home / SERVERS_FILE, json.dumps(values, indent=2) + "\n")
