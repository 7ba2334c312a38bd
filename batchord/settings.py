"""Every setting of Batchord, in one frozen class.

A value comes from the environment (``BATCHORD_DATABASE_URL``, …). If the environment does not have it, it comes from
``servers.json`` in :attr:`Settings.home`, where the local stack writes the addresses of the servers that it started.
So ``celery -A batchord.app worker`` in a second terminal finds the servers of ``batchord up``.
"""

import os
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.addresses.postgres import postgres_url
from batchord.core.addresses.redis import redis_url
from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

SERVERS_FILE = "servers.json"


#: Keys of servers.json that belong together: the roles of one server.
_ROLES = ("owner_url", "author_url", "source_url")


class _LocalServers(JsonConfigSettingsSource):
    """The settings that the local stack wrote, without its PostgreSQL roles if the environment names another server."""

    def __call__(self) -> dict[str, Any]:
        """The settings of the file."""
        values = super().__call__()
        if any(name.upper() == "BATCHORD_DATABASE_URL" and value for name, value in os.environ.items()):
            return {name: value for name, value in values.items() if name not in _ROLES}
        return values


class Settings(BaseSettings):
    """Environment variables with the prefix ``BATCHORD_``. Times are in seconds unless the name has another unit."""

    model_config = SettingsConfigDict(env_prefix="BATCHORD_", frozen=True, extra="ignore", env_ignore_empty=True)

    #: PostgreSQL with the ledger, as a libpq URL: ``postgresql://user:password@host:5432/name``.
    database_url: SecretStr | None = None
    #: The same database with other roles, see :class:`.core.addresses.database_roles.DatabaseRoles`; None:
    #: ``database_url``.
    owner_url: SecretStr | None = None
    author_url: SecretStr | None = None
    source_url: SecretStr | None = None
    #: The same database with a superuser, as whom ``batchord migrate`` creates those roles.
    admin_url: SecretStr | None = None
    #: Celery's broker, result backend and RedBeat's store.
    redis_url: SecretStr | None = None
    #: Address of an S3-compatible store; None means Amazon's own.
    s3_endpoint_url: str | None = None
    #: None leaves the search for credentials to boto3.
    s3_access_key_id: SecretStr | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_region: str = "us-east-1"

    #: Folder with the pipeline files.
    pipelines: Path = Path("pipelines")
    #: The folder of the embedded servers' data and of downloaded models.
    home: Path = Path(".batchord")

    #: How long a worker owns a shard without renewing its lease. It renews the lease three times in that time.
    lease_seconds: float = Field(default=60, gt=0)
    #: How long a message may be on its way before the sweeper sends it again. The time doubles with each sending.
    resend_after_seconds: float = Field(default=60, gt=0)
    #: How often beat starts the sweeper, which sends lost messages again.
    sweep_seconds: float = Field(default=10, gt=0)
    #: After this time without an acknowledgement, Redis delivers a message to another worker.
    visibility_timeout_seconds: int = Field(default=900, gt=0)
    #: How long a shard should take. Its size follows from the model's speed in the ledger.
    shard_seconds: float = Field(default=15, gt=0)
    #: A shard's time limit, well below the visibility timeout.
    shard_time_limit_seconds: int = Field(default=600, gt=0)
    #: Attempts at a shard before it is marked failed.
    max_attempts: int = Field(default=5, ge=1)
    #: Base and ceiling of the wait before a shard is tried again after an infrastructure error.
    retry_base_seconds: float = Field(default=2, gt=0)
    retry_ceiling_seconds: float = Field(default=60, gt=0)
    #: How long a statement on a source may take and may wait for a lock, if the source does not declare it.
    source_statement_seconds: float = Field(default=300, gt=0)
    source_lock_seconds: float = Field(default=30, gt=0)
    #: How long planning a step may take, all statements together.
    plan_time_limit_seconds: float = Field(default=3600, gt=0)
    #: How long a worker that is told to stop lets its shards run.
    shutdown_seconds: float = Field(default=20, ge=0)
    #: The most shards of one run. A follow-up run continues a larger backlog. Celery's cost per part of a chord grows
    #: with their number.
    max_shards: int = Field(default=1000, ge=1, le=1000)
    #: How many shards a small backlog is cut into, unless they would get too small. The default is the number of cores.
    parallelism: int = Field(default_factory=lambda: max(2, os.cpu_count() or 2), ge=1)

    #: Threads of one worker process for tensors. Several processes with several threads each slow each other down.
    torch_threads: int = Field(default=1, ge=1)
    #: Memory that one worker process may allocate, in MiB; None: its share of the machine, at least 4 GiB.
    memory_limit_mb: int | None = Field(default=None, ge=256)
    #: How many images one worker process reads at the same time. Its connection pool has the same size.
    image_readers: int = Field(default=16, ge=1)
    #: Memory for pictures in one worker process, in MiB: for pictures that are being decoded, and an eighth of it for
    #: those that the model gets together. A picture that needs more is decoded alone.
    image_memory_mb: int = Field(default=256, ge=16)

    #: The receivers of alerts: apprise addresses, separated by white space or commas.
    alert_urls: SecretStr | None = None
    #: How often beat starts the watch, which looks for missed ticks, old records and the like.
    watch_seconds: float = Field(default=30, gt=0)
    #: Where the logs of attempts are kept: ``ledger``, or ``s3://bucket/prefix``.
    log_store: str = Field(default="ledger", pattern=r"^(ledger|s3://[^/]+(/.*)?)$")
    #: Bytes kept of an attempt's log: the first lines up to half of it, and the last lines.
    log_bytes: int = Field(default=262_144, ge=4096)
    #: Days for which ``batchord prune`` keeps the logs of attempts.
    keep_logs_days: float = Field(default=30, gt=0)
    #: Days for which it keeps alerts, and ended runs with their steps, shards and attempts. At least two: for one day,
    #: the sweeper checks whether the runs that follow an ended run were started.
    keep_runs_days: float = Field(default=365, ge=2)
    #: Days for which it keeps runs that found nothing to predict.
    keep_idle_runs_days: float = Field(default=14, ge=2)
    #: Days for which it keeps the outputs of predictions; None: for ever. Keys, labels and scores always stay.
    keep_outputs_days: float | None = Field(default=None, gt=0)

    #: Host names that Flower accepts besides localhost, IP addresses and this machine's own name; separated by commas.
    flower_hosts: str = ""

    #: ``text`` for people, ``json`` for log collectors.
    log_format: Literal["text", "json"] = "text"

    @property
    def retry_base(self) -> timedelta:
        """``retry_base_seconds`` as a time."""
        return timedelta(seconds=self.retry_base_seconds)

    @property
    def retry_ceiling(self) -> timedelta:
        """``retry_ceiling_seconds`` as a time."""
        return timedelta(seconds=self.retry_ceiling_seconds)

    @property
    def aimed_shard_seconds(self) -> float:
        """``shard_seconds``, but at most a quarter of the time limit: a shard may take three times as long."""
        return min(self.shard_seconds, self.shard_time_limit_seconds / 4)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic-settings passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources in their order: arguments, the environment, the file of the local stack."""
        servers = Path(os.environ.get("BATCHORD_HOME", ".batchord")) / SERVERS_FILE
        return init_settings, env_settings, _LocalServers(settings_cls, json_file=servers)

    def require_database_url(self) -> str:
        """The ledger's address in the spelling that libpq and SQLAlchemy understand.

        Raises ConfigurationError if no server is configured or runs locally, or if the address is not PostgreSQL's.
        """
        name = "BATCHORD_DATABASE_URL"
        return postgres_url(_required(self.database_url, name, "PostgreSQL"), where=name)

    def database_roles(self) -> DatabaseRoles:
        """The addresses of the ledger's database, one for each kind of work. Raises like the method above."""
        ledger = self.require_database_url()

        def address(name: str) -> str | None:
            value: SecretStr | None = getattr(self, f"{name}_url")
            return (
                None if value is None else postgres_url(value.get_secret_value(), where=f"BATCHORD_{name.upper()}_URL")
            )

        return DatabaseRoles(
            ledger=ledger,
            owner=address("owner") or ledger,
            author=address("author") or ledger,
            source=address("source") or ledger,
            admin=address("admin"),
        )

    def require_redis_url(self) -> str:
        """Redis's address, in the spelling of :mod:`batchord.core.addresses.redis`.

        Raises ConfigurationError if no server is configured or runs locally, or if not every client can use it.
        """
        name = "BATCHORD_REDIS_URL"
        return redis_url(_required(self.redis_url, name, "Redis"), where=name)


def _required(value: SecretStr | None, name: str, server: str) -> str:
    if value is None:
        raise ConfigurationError(
            f"No {server} is configured: set {name}, or start the local servers with `batchord up`."
        )
    return value.get_secret_value()


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises ConfigurationError for a value that cannot be used."""
    try:
        return Settings()
    except (ValueError, TypeError) as error:  # pydantic raises ValueErrors; a broken file raises either
        raise ConfigurationError(
            f"The settings cannot be used: {clause(error)}. They come from BATCHORD_* variables and from "
            f"{SERVERS_FILE} in BATCHORD_HOME, which `batchord up` writes again."
        ) from None
