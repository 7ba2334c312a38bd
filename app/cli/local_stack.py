"""What the local stack consists of: the embedded servers, two workers, beat and Flower."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from batchord.ledger.roles.preparing import prepare_database
from batchord.output.masking import learn
from batchord.queue.redis_server import check_redis
from batchord.settings import Settings, settings

from ..dashboard.password import flower_password
from ..localstack import ProcessSpec, start_servers, unconfigured_servers
from ..localstack.claims import PortClaim, claim_port
from ..localstack.fork_server import CELERY_COMMAND, CELERY_ENVIRONMENT
from ..localstack.home import write_private

#: Batchord's Celery application by its installed name: the processes are found from every working directory.
APP = "batchord.app"
_FLOWER_PORT = 5555
_FLOWER_FILE = "run/flower"
#: Why Flower is not where people look for it; absent where it is.
_REMARK_FILE = "run/flower-remark"
#: Longer than a worker takes to restore its messages and to tell the ledger.
_HAND_BACK_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Everything that ``batchord up`` runs."""

    home: Path
    specs: tuple[ProcessSpec, ...]
    flower: str
    #: Flower's port, kept from other stacks; to be closed when Flower listens.
    claim: PortClaim


def prepare() -> Stack:
    """Starts the servers that are not configured, brings the schema up to date, and says what to run.

    Raises ConfigurationError.
    """
    home = settings().home.expanduser().absolute()
    start_servers(home, needs=unconfigured_servers(os.environ))
    settings.cache_clear()
    learn(())  # the passwords of the servers that were started
    configured = settings()
    prepare_database(configured.database_roles())
    check_redis(configured.require_redis_url())
    if not os.environ.get("FLOWER_BASIC_AUTH"):
        flower_password(home)  # before Flower starts, so that it can be shown
    ports = _flower_ports(home)
    claim = claim_port(*ports)
    flower = f"http://127.0.0.1:{claim.port}"
    write_private(home / _FLOWER_FILE, flower)
    keep_flower_remark(home, wanted=ports[0], port=claim.port)
    specs = _specs(configured, home, claim.port)
    return Stack(home=home, specs=specs, flower=flower, claim=claim)


def flower_address(home: Path) -> str | None:
    """Where Flower was started last."""
    file = home / _FLOWER_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None


def flower_remark(home: Path) -> str | None:
    """Why Flower listens on another port than people expect; None where it does not."""
    file = home / _REMARK_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None


def keep_flower_remark(home: Path, *, wanted: int, port: int) -> None:
    """Notes which port Flower got, and why; the note stays as long as Flower stays away from its usual port."""
    file = home / _REMARK_FILE
    if port != wanted:
        write_private(file, f"Flower listens on port {port}: another program or stack had port {wanted} at the start.")
    elif port == _FLOWER_PORT:
        file.unlink(missing_ok=True)


def _specs(configured: Settings, home: Path, port: int) -> tuple[ProcessSpec, ...]:
    env = {
        "BATCHORD_HOME": str(home),
        "BATCHORD_PIPELINES": str(configured.pipelines.expanduser().absolute()),
        **CELERY_ENVIRONMENT,
    }
    # Workers need not know of each other: the ledger tells them all. Mingling alone is a second of each start.
    worker = (*CELERY_COMMAND, "worker", "--without-mingle", "--without-gossip", "-l", "info")
    processes = str(configured.parallelism)
    # What cannot end in time is handed back, which takes a moment more.
    patience = configured.shutdown_seconds + _HAND_BACK_SECONDS
    return (
        # Threads: control tasks wait for the database, and one light process keeps ticks apart from shards.
        ProcessSpec(
            name="control",
            command=(*worker, "-n", "control@%h", "-Q", "control", "-P", "threads", "-c", "16"),
            env=env,
            patience=patience,
        ),
        ProcessSpec(
            name="worker",
            command=(*worker, "-n", "worker@%h", "-Q", "text,image,table,train,steps", "-c", processes),
            env=env,
            patience=patience,
        ),
        ProcessSpec(name="beat", command=(*CELERY_COMMAND, "beat", "--pidfile=", "-l", "info"), env=env),
        ProcessSpec(
            name="flower",
            command=(*CELERY_COMMAND, "flower", "--address=127.0.0.1", f"--port={port}"),
            env=env,
        ),
    )


def _flower_ports(home: Path) -> tuple[int, ...]:
    """The port that Flower had here, then its usual one."""
    before = urlsplit(flower_address(home) or "").port
    return (_FLOWER_PORT,) if before is None else (before, _FLOWER_PORT)
