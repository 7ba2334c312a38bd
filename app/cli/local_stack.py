"""The parts of the local stack: the embedded servers, two workers, beat and Flower."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from batchord.ledger.roles.preparing import prepare_database
from batchord.output.masking import learn
from batchord.queue.redis_server import check_redis
from batchord.settings import Settings, given_settings, settings
from batchord.wiring import require_extras

from ..dashboard.password import flower_password
from ..localstack import LogRotation, ProcessSpec, start_servers, unconfigured_servers
from ..localstack.claims import PortClaim, claim_port
from ..localstack.fork_server import CELERY_COMMAND, CELERY_ENVIRONMENT
from ..localstack.home import write_private

#: Batchord's Celery application by its installed name, which works in every working directory.
APP = "batchord.app"
_FLOWER_PORT = 5555
_FLOWER_FILE = "run/flower"
#: The file that says why Flower has another port than usual; missing if it has its usual port.
_REMARK_FILE = "run/flower-remark"
#: Longer than a worker needs to give back its messages and its shards.
_HAND_BACK_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Stack:
    """All parts that ``batchord up`` runs."""

    home: Path
    specs: tuple[ProcessSpec, ...]
    rotation: LogRotation
    flower: str
    #: The claim of Flower's port, which keeps other stacks away from it. Close it when Flower listens.
    claim: PortClaim


def prepare() -> Stack:
    """Starts the servers that are not configured, brings the schema up to date, and returns what to run.

    Raises ConfigurationError.
    """
    home = settings().home.expanduser().absolute()
    require_extras()  # otherwise each worker would say it in its own log
    start_servers(home, needs=unconfigured_servers(given_settings()))
    settings.cache_clear()
    learn(())  # the passwords of the servers that were started
    configured = settings()
    prepare_database(configured.database_roles())
    check_redis(configured.require_redis_url())
    if not os.environ.get("FLOWER_BASIC_AUTH"):
        flower_password(home)  # before Flower starts, so that `batchord status` can show it
    ports = _flower_ports(home)
    claim = claim_port(*ports)
    flower = f"http://127.0.0.1:{claim.port}"
    write_private(home / _FLOWER_FILE, flower)
    keep_flower_remark(home, wanted=ports[0], port=claim.port)
    specs = _specs(configured, home, claim.port)
    rotation = LogRotation(most_bytes=configured.log_file_bytes, kept=configured.keep_log_files)
    return Stack(home=home, specs=specs, rotation=rotation, flower=flower, claim=claim)


def flower_address(home: Path) -> str | None:
    """The address at which Flower was last started."""
    file = home / _FLOWER_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None


def flower_remark(home: Path) -> str | None:
    """Why Flower listens on another port than usual; None if it has its usual port."""
    file = home / _REMARK_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None


def keep_flower_remark(home: Path, *, wanted: int, port: int) -> None:
    """Notes which port Flower got, and why. The note stays as long as Flower has another port than usual."""
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
    # Workers need not know each other, since all of them read the ledger. Mingling would add a second to each start.
    worker = (*CELERY_COMMAND, "worker", "--without-mingle", "--without-gossip", "-l", "info")
    processes = str(configured.parallelism)
    # A worker hands back what cannot end in time, which takes a moment longer.
    patience = configured.shutdown_seconds + _HAND_BACK_SECONDS
    return (
        # Threads, since control tasks wait for the database. A light process of its own: no shard delays a tick.
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
    """The ports to try: the one that Flower had here before, then its usual one."""
    before = urlsplit(flower_address(home) or "").port
    return (_FLOWER_PORT,) if before is None else (before, _FLOWER_PORT)
