"""Every setting of Batchord, in one frozen class.

A value comes from the environment (``BATCHORD_DATABASE_URL``, …); what the environment does not say is
read from ``servers.json`` in :attr:`Settings.home`, where the local stack writes the addresses of the
servers that it started. So ``celery -A batchord.app worker`` in a second terminal finds what ``batchord up`` runs.
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

SERVERS_FILE = "servers.json"


#: Of servers.json: roles of one server, which belong together.
_ROLES = ("owner_url", "author_url", "source_url")


class _LocalServers(JsonConfigSettingsSource):
    """What the local stack wrote; where the environment names another PostgreSQL, nothing of the local one."""

    def __call__(self) -> dict[str, Any]:
        """The settings of the file."""
        found = super().__call__()
        if any(name.upper() == "BATCHORD_DATABASE_URL" and value for name, value in os.environ.items()):
            return {name: value for name, value in found.items() if name not in _ROLES}
        return found


class Settings(BaseSettings):
    """Environment variables with the prefix ``BATCHORD_``; times are in seconds unless said otherwise."""

    model_config = SettingsConfigDict(env_prefix="BATCHORD_", frozen=True, extra="ignore", env_ignore_empty=True)

    #: PostgreSQL with the ledger, as a libpq URL: ``postgresql://user:password@host:5432/name``.
    database_url: SecretStr | None = None
    #: The same database by other roles, see :class:`.core.addresses.database_roles.DatabaseRoles`; None: by
    #: ``database_url``.
    owner_url: SecretStr | None = None
    author_url: SecretStr | None = None
    source_url: SecretStr | None = None
    #: A superuser of it, by whom ``batchord migrate`` makes those roles.
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
    #: Where the embedded servers keep their data, and workers the models that they downloaded.
    home: Path = Path(".batchord")

    #: How long a worker owns a shard without renewing its lease; renewed three times in that time.
    lease_seconds: float = Field(default=60, gt=0)
    #: How long a message may be on its way before the sweeper sends it again; doubled each time.
    resend_after_seconds: float = Field(default=60, gt=0)
    #: How often beat sends the sweeper, which sends again what was lost.
    sweep_seconds: float = Field(default=10, gt=0)
    #: After this long without an acknowledgement Redis hands a message to another worker.
    visibility_timeout_seconds: int = Field(default=900, gt=0)
    #: How long a shard is to take; its size follows from what the ledger knows of the model's speed.
    shard_seconds: float = Field(default=15, gt=0)
    #: A shard's time limit, well below the visibility timeout.
    shard_time_limit_seconds: int = Field(default=600, gt=0)
    #: Attempts at a shard before it is marked failed.
    max_attempts: int = Field(default=5, ge=1)
    #: Base and ceiling of the wait before a shard is tried again after an infrastructure error.
    retry_base_seconds: float = Field(default=2, gt=0)
    retry_ceiling_seconds: float = Field(default=60, gt=0)
    #: How long a statement on a source may take, and wait for a lock, where the source does not say.
    source_statement_seconds: float = Field(default=300, gt=0)
    source_lock_seconds: float = Field(default=30, gt=0)
    #: How long a step may be planned, all statements together.
    plan_time_limit_seconds: float = Field(default=3600, gt=0)
    #: How long a worker that is told to stop gives the shards that it runs.
    shutdown_seconds: float = Field(default=20, ge=0)
    #: Shards of one run; a larger backlog goes on in a follow-up run. Celery's cost per chord part grows.
    max_shards: int = Field(default=1000, ge=1, le=1000)
    #: Shards that a small backlog is cut into at least, where they do not get too small: the cores in use.
    parallelism: int = Field(default_factory=lambda: max(2, os.cpu_count() or 2), ge=1)

    #: Threads for one worker process's tensor work: several processes with several threads each thrash.
    torch_threads: int = Field(default=1, ge=1)
    #: Memory that one worker process may allocate, in MiB; None: its share of the machine, at least 4 GiB.
    memory_limit_mb: int | None = Field(default=None, ge=256)
    #: Concurrent reads of images by one worker process; also the size of its connection pool.
    image_readers: int = Field(default=16, ge=1)
    #: Memory for pictures in one worker process, in MiB: for what is being decoded, and an eighth of it for those that
    #: the model is given at once. What needs more is decoded alone.
    image_memory_mb: int = Field(default=256, ge=16)

    #: Who is told when something is wrong: apprise addresses, separated by white space or commas.
    alert_urls: SecretStr | None = None
    #: How often beat has missed ticks, the age of records, and the like looked at.
    watch_seconds: float = Field(default=30, gt=0)
    #: Where the logs of attempts are kept: ``ledger``, or ``s3://bucket/prefix``.
    log_store: str = Field(default="ledger", pattern=r"^(ledger|s3://[^/]+(/.*)?)$")
    #: Bytes kept of one attempt's log: the first half as it comes, and the last half.
    log_bytes: int = Field(default=262_144, ge=4096)
    #: Days for which ``batchord prune`` keeps the logs of attempts.
    keep_logs_days: float = Field(default=30, gt=0)
    #: Days for which it keeps runs that have ended, with their steps, shards and attempts; and alerts. At least two:
    #: for a day it is looked whether a run was followed.
    keep_runs_days: float = Field(default=365, ge=2)
    #: Days for which it keeps runs that found nothing to predict.
    keep_idle_runs_days: float = Field(default=14, ge=2)
    #: Days for which it keeps the outputs of predictions; None: for ever. Keys, labels and scores always stay.
    keep_outputs_days: float | None = Field(default=None, gt=0)

    #: Names besides localhost, addresses and this machine's own that Flower answers to, separated by commas.
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
        """``shard_seconds``, or less where a shard that takes three times as long would meet its time limit."""
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
        """Arguments, then the environment, then what the local stack wrote."""
        servers = Path(os.environ.get("BATCHORD_HOME", ".batchord")) / SERVERS_FILE
        return init_settings, env_settings, _LocalServers(settings_cls, json_file=servers)

    def require_database_url(self) -> str:
        """The ledger's address, as libpq and SQLAlchemy read it.

        Raises ConfigurationError when none is configured and none runs locally, or it is none of PostgreSQL's.
        """
        name = "BATCHORD_DATABASE_URL"
        return postgres_url(_required(self.database_url, name, "PostgreSQL"), where=name)

    def database_roles(self) -> DatabaseRoles:
        """The addresses of the ledger's database, one for each kind of work. Raises as the above."""
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

        Raises ConfigurationError when none is configured and none runs locally, or not every client can use it.
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
    except (ValueError, TypeError) as error:  # pydantic's own are ValueErrors; a broken file gives either
        raise ConfigurationError(
            f"The settings cannot be used: {error}. They come from BATCHORD_* variables and from {SERVERS_FILE} in "
            "BATCHORD_HOME, which `batchord up` writes again."
        ) from None
