"""Every setting of Batchord, in one frozen class."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.addresses.postgres import postgres_url
from batchord.core.addresses.redis import redis_url
from batchord.core.errors import ConfigurationError
from batchord.settings.given import PREFIX, find_settings
from batchord.settings.problems import refusal


class _Places(PydanticBaseSettingsSource):
    """Everything that was given for the settings."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 -- pydantic's
        """Not used: all values are found together, since they depend on each other."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The values by name. Raises ConfigurationError if something is wrong besides the values."""
        found = find_settings(self.settings_cls.model_fields)
        if found.problems:
            raise refusal(list(found.problems))
        return {**found.defaults, **{name: each.value for name, each in found.given.items()}}


class Settings(BaseSettings):
    """All settings. Times are in seconds unless the name has another unit.

    Constructing it reads all places (:mod:`.given`). It raises ConfigurationError for what is wrong with the places,
    and pydantic's ValidationError for a value that is not allowed.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

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
    #: Which receivers get the report of the run with an alert about it: none, those of mail, or all.
    alert_reports: Literal["none", "mail", "all"] = "none"
    #: How often beat starts the watch, which looks for missed ticks, old records and the like.
    watch_seconds: float = Field(default=30, gt=0)
    #: Where the logs of attempts are kept: ``ledger``, or ``s3://bucket/prefix``.
    log_store: str = Field(
        default="ledger", pattern=r"^(ledger|s3://[^/]+(/.*)?)$", examples=["ledger", "s3://bucket/prefix"]
    )
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
    #: The names of people whom Flower lets look, but not change anything; separated by commas. All others may.
    flower_viewers: str = ""
    #: What of a record Flower's pages show: its key and what was predicted (``keys``), or only counts (``none``).
    show_records: Literal["keys", "none"] = "keys"

    #: ``text`` for people, ``json`` for log collectors.
    log_format: Literal["text", "json"] = "text"
    #: The size in bytes at which the local stack begins a new file for the log of a process.
    log_file_bytes: int = Field(default=10_485_760, ge=65_536)
    #: How many old files of each such log it keeps.
    keep_log_files: int = Field(default=3, ge=0)

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
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic-settings passes it by name
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources in their order: arguments, then what :mod:`.given` finds."""
        return init_settings, _Places(settings_cls)

    def require_database_url(self) -> str:
        """The ledger's address in the spelling that libpq and SQLAlchemy understand.

        Raises ConfigurationError if no server is configured or runs locally, or if the address is not PostgreSQL's.
        """
        return _spelt("database_url", _required(self.database_url, "database_url", "PostgreSQL"), postgres_url)

    def database_roles(self) -> DatabaseRoles:
        """The addresses of the ledger's database, one for each kind of work. Raises like the method above."""
        ledger = self.require_database_url()

        def address(name: str) -> str | None:
            value: SecretStr | None = getattr(self, name)
            return None if value is None else _spelt(name, value.get_secret_value(), postgres_url)

        return DatabaseRoles(
            ledger=ledger,
            owner=address("owner_url") or ledger,
            author=address("author_url") or ledger,
            source=address("source_url") or ledger,
            admin=address("admin_url"),
        )

    def require_redis_url(self) -> str:
        """Redis's address, in the spelling of :mod:`batchord.core.addresses.redis`.

        Raises ConfigurationError if no server is configured or runs locally, or if not every client can use it.
        """
        return _spelt("redis_url", _required(self.redis_url, "redis_url", "Redis"), redis_url)


class _Spelling(Protocol):
    """Writes an address in one spelling. Raises ConfigurationError, which names ``where`` the address stands."""

    def __call__(self, text: str, *, where: str) -> str: ...


def _spelt(name: str, address: str, spelling: _Spelling) -> str:
    variable = f"{PREFIX}{name.upper()}"
    try:
        return spelling(address, where=variable)
    except ConfigurationError:
        given = find_settings(Settings.model_fields).given.get(name)
        return spelling(address, where=variable if given is None else given.label)


def _required(value: SecretStr | None, name: str, server: str) -> str:
    if value is None:
        raise ConfigurationError(
            f"No {server} is configured: set {PREFIX}{name.upper()}, or start the local servers with `batchord up`."
        )
    return value.get_secret_value()
