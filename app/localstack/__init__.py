"""The local stack: PostgreSQL, Valkey and an S3-compatible store for a machine that has none.

The binaries come from packages that the extra ``local`` installs; how they are started, kept and stopped is
ours, because those packages' own start-up code adds system users, opens the permissions of parent folders,
or turns persistence off. Everything lives in one folder of mode 0700 and listens on loopback only.
"""

from .background import background_status, start_background, stop_background
from .fork_server import CELERY_COMMAND, CELERY_ENVIRONMENT, ForkServer
from .processes import Backoff, ProcessSpec, ProcessState, ProcessStatus
from .servers import (
    ALL_SERVERS,
    Server,
    Servers,
    ServerStatus,
    server_status,
    start_servers,
    stop_servers,
    superuser_url,
    unconfigured_servers,
)
from .supervisor import Supervisor

__all__ = [
    "ALL_SERVERS",
    "CELERY_COMMAND",
    "CELERY_ENVIRONMENT",
    "Backoff",
    "ForkServer",
    "ProcessSpec",
    "ProcessState",
    "ProcessStatus",
    "Server",
    "ServerStatus",
    "Servers",
    "Supervisor",
    "background_status",
    "server_status",
    "start_background",
    "start_servers",
    "stop_background",
    "stop_servers",
    "superuser_url",
    "unconfigured_servers",
]
