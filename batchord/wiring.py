"""The only place that builds adapters.

It imports each adapter where it builds it, because these imports take most of a process's start. A command that only
reads the ledger needs no other adapter, and beat does not even need the ledger.
"""

import importlib
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from batchord.catalog import LiveCatalog, Loaded, Snapshot
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.sources import Source, SourceContext, Window
from batchord.core.process.extras import Extra, missing, require
from batchord.core.run.logs import LogStore
from batchord.flow.parts import Parts
from batchord.output.known_secrets import secrets_of
from batchord.output.masking import learn, mask
from batchord.processes.local_names import local_name
from batchord.processes.per_process import PerProcess
from batchord.settings import settings

if TYPE_CHECKING:
    from batchord.core.declared.source_reader import SourceReader
    from batchord.flow.begin.check import CheckParts
    from batchord.ledger import Ledger
    from batchord.models.library import ModelLibrary
    from batchord.queue.depths import QueueDepths
    from batchord.sources.sql.tables import Table
    from batchord.storage.objects import Objects

#: The adapters that :func:`parts` builds.
_ADAPTERS = (
    "ledger", "models.library", "people", "queue.switchboard", "sources.sql.reader", "steps.bash.shell",
    "steps.sql.runner",
    "storage.images", "storage.logs", "storage.objects",
)  # fmt: skip
#: How long a scrape waits for the database. Prometheus itself gives up after ten seconds.
_METRICS_SECONDS = 3.0
#: Whether this process decides for its whole machine that a file is broken. Workers and `batchord up` do.
_decides = False


def decide_on_code() -> None:
    """Lets this process decide which text of each file this machine uses. Call it before anything else."""
    global _decides  # noqa: PLW0603 -- one process, one role
    _decides = True
    catalog.forget()


#: The current pipelines. A forked child loads its own.
catalog = PerProcess(lambda: LiveCatalog(settings().pipelines, settings().home, decides=_decides))


def load_adapters() -> None:
    """Imports the adapters. Call it before a pool's processes are forked, so that they share the imported modules."""
    pictures = () if missing([Extra.IMAGES]) else ("storage.images.decoding",)
    for name in (*_ADAPTERS, *pictures):
        importlib.import_module(f"batchord.{name}")


@cache
def ledger() -> "Ledger":
    """The ledger that the settings name. It connects on first use. Raises ConfigurationError."""
    configured = settings()
    url = configured.require_database_url()
    from batchord.ledger import Ledger  # below: its imports take a second, for nothing if there is no database

    # No lock outlives a lease: a worker that takes over a shard need not wait for a process that stands still.
    return Ledger(url, lock_seconds=configured.lease_seconds)


@cache
def metrics_ledger() -> "Ledger | None":
    """The ledger for metrics, which waits a few seconds at most; None if no database is configured.

    Raises ConfigurationError for an address that cannot be read.
    """
    from batchord.ledger import Ledger

    configured = settings()
    if configured.database_url is None:
        return None
    return Ledger(configured.require_database_url(), max_connections=1, wait_seconds=_METRICS_SECONDS)


@cache
def queue_depths() -> "QueueDepths | None":
    """What reads the queues; None if no Redis is configured. Raises ConfigurationError for an unreadable address."""
    from batchord.queue.depths import QueueDepths

    configured = settings()
    return None if configured.redis_url is None else QueueDepths(configured.require_redis_url())


@cache
def objects() -> "Objects":
    """The object store that the settings name."""
    from batchord.storage.objects import Objects

    configured = settings()
    return Objects(
        endpoint_url=configured.s3_endpoint_url,
        access_key_id=configured.s3_access_key_id,
        secret_access_key=configured.s3_secret_access_key,
        region=configured.s3_region,
        connections=configured.image_readers,
    )


def _parts() -> Parts:
    from batchord.people import AppriseNotifier
    from batchord.queue.switchboard import Switchboard
    from batchord.storage.images import ImageReader

    configured = settings()
    roles = configured.database_roles()
    redis_url = None if configured.redis_url is None else configured.require_redis_url()

    def open_source(declared: Source, window: Window | None) -> "SourceReader":
        return declared.open(
            SourceContext(
                window=window if declared.uses_window else None,
                database_url=roles.source,
                statement_seconds=configured.source_statement_seconds,
                lock_seconds=configured.source_lock_seconds,
            )
        )

    return Parts(
        settings=configured,
        catalog=Snapshot(configured.pipelines, Loaded()),  # parts() and parts_of() give another one
        ledger=ledger(),
        open_source=open_source,
        models=_models(),
        images=ImageReader(objects(), readers=configured.image_readers, memory=configured.image_memory_mb * 2**20),
        author_url=roles.author,
        logs=log_store(),
        notifier=AppriseNotifier(),
        switchboard=Switchboard(redis_url),
        environment=os.environ,
        mask=mask,
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


def describe_table(name: str) -> "Table":
    """A table of the ledger's database, as the role that reads sources sees it. Raises ConfigurationError."""
    from batchord.sources.sql.table_reading import describe_table

    return describe_table(settings().database_roles().source, name)


def check_parts(*, models: bool) -> "CheckParts":
    """What ``batchord check`` works with: the database if one is configured, and the models on request."""
    from batchord.flow.begin.check import CHECK_LIMIT, CheckParts

    configured = settings()
    roles = None if configured.database_url is None else configured.database_roles()

    def open_source(declared: Source, window: Window | None) -> "SourceReader":
        seconds = CHECK_LIMIT.total_seconds()
        url = "" if roles is None else roles.source  # without roles, only sources with an address are opened
        return declared.open(
            SourceContext(window=window, database_url=url, statement_seconds=seconds, lock_seconds=seconds)
        )

    return CheckParts(
        open_source=open_source,
        models=_models if models else None,
        author_url=None if roles is None else roles.author,
        environment=os.environ,
        mask=mask,
        tables=None if roles is None else lambda: ledger().result_tables,
    )


def require_extras() -> None:
    """Raises MissingExtra if the settings need a library that is not installed. Workers call it before they start."""
    if settings().alert_urls is not None:
        require(Extra.ALERTS, for_what="BATCHORD_ALERT_URLS")


@cache
def log_store() -> LogStore:
    """The store for the logs of attempts."""
    from batchord.storage.logs import LogObjects

    place = settings().log_store
    return ledger().logs if place == "ledger" else LogObjects(objects(), place)


@cache
def _models() -> "ModelLibrary":
    from batchord.models.library import ModelLibrary

    configured = settings()
    return ModelLibrary(home=configured.home, objects=objects(), torch_threads=configured.torch_threads)


#: A forked child builds its own parts, since it has a name of its own in the ledger.
_built_parts = PerProcess(_parts)


def parts() -> Parts:
    """The parts that verbs work with. Each call takes the newest code; a verb keeps the code that it began with."""
    built, snapshot = _built_parts(), catalog().snapshot()
    since = None if snapshot.since is None else datetime.fromtimestamp(snapshot.since, UTC)
    return replace(built, catalog=snapshot, code_since=since)


def local_parts() -> Parts:
    """The parts of a process that works by itself. Others on this machine see by its name when it has ended."""
    return replace(parts(), worker=local_name())


def parts_of(declared: Pipeline) -> Parts:
    """The parts for a pipeline that is in no file, such as that of a notebook. No pipeline file is loaded."""
    learn(secrets_of([declared], os.environ))
    return replace(_built_parts(), catalog=Snapshot(settings().pipelines, Loaded(pipelines={declared.name: declared})))
