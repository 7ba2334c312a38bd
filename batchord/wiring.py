"""The only place that builds adapters.

They are imported where they are built, since they are most of a process's start: a command that only reads the ledger
needs no other, and beat not even that.
"""

import importlib
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from batchord.catalog import LiveCatalog
from batchord.core.declared.sources import Source, SourceContext, Window
from batchord.core.run.logs import LogStore
from batchord.flow.parts import Parts
from batchord.output.masking import mask
from batchord.processes.per_process import PerProcess
from batchord.settings import settings

if TYPE_CHECKING:
    from batchord.core.declared.source_reader import SourceReader
    from batchord.ledger import Ledger
    from batchord.models.library import ModelLibrary
    from batchord.storage.objects import Objects

#: What :func:`parts` builds.
_ADAPTERS = (
    "ledger", "models.library", "people", "queue.switchboard", "sources.sql.reader", "steps.bash.shell",
    "steps.sql.runner",
    "storage.images", "storage.logs", "storage.objects",
)  # fmt: skip
#: Whether this process decides for all of its machine that a file is broken; workers and `batchord up` do.
_decides = False


def decide_on_code() -> None:
    """Lets this process say which text of each file is in use here; to be called before anything else."""
    global _decides  # noqa: PLW0603 -- one process, one role
    _decides = True
    catalog.forget()


#: The pipelines as they are now. A forked child loads its own.
catalog = PerProcess(lambda: LiveCatalog(settings().pipelines, settings().home, decides=_decides))


def load_adapters() -> None:
    """Imports what :func:`parts` builds: before a pool's processes are forked, which then share it."""
    for name in _ADAPTERS:
        importlib.import_module(f"batchord.{name}")


@cache
def ledger() -> "Ledger":
    """The ledger that the settings name; connects when it is first used. Raises ConfigurationError."""
    from batchord.ledger import Ledger

    configured = settings()
    # No lock outlives a lease: whoever takes a shard over need not wait for the one who stands still.
    return Ledger(configured.require_database_url(), lock_seconds=configured.lease_seconds)


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
        catalog=catalog().snapshot(),
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


@cache
def log_store() -> LogStore:
    """Where the logs of attempts are kept."""
    from batchord.storage.logs import LogObjects

    place = settings().log_store
    return ledger().logs if place == "ledger" else LogObjects(objects(), place)


@cache
def _models() -> "ModelLibrary":
    from batchord.models.library import ModelLibrary

    configured = settings()
    return ModelLibrary(home=configured.home, objects=objects(), torch_threads=configured.torch_threads)


#: A forked child builds its own, since its name in the ledger is its own.
_built_parts = PerProcess(_parts)


def parts() -> Parts:
    """What the verbs work with. Each call has the code as it is now; a verb goes on with what it began with."""
    built, snapshot = _built_parts(), catalog().snapshot()
    since = None if snapshot.since is None else datetime.fromtimestamp(snapshot.since, UTC)
    return replace(built, catalog=snapshot, code_since=since)
