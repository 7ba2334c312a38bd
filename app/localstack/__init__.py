"""The local stack: PostgreSQL, Valkey and an S3-compatible store for a machine that has none.

The binaries come from packages that the extra ``local`` installs. Batchord's own code starts and stops them, because
the start-up code of these packages adds system users, opens the permissions of parent folders, or turns persistence
off. All data are in one folder of mode 0700, and the servers listen only on loopback.
"""

from .addresses import ALL_SERVERS, Server, Servers, unconfigured_servers
from .background import background_status, lost_supervisor, stop_background
from .fork_server import CELERY_COMMAND, CELERY_ENVIRONMENT, ForkServer
from .processes import Backoff, ProcessSpec, ProcessState, ProcessStatus
from .rotation import LogRotation
from .servers import ServerStatus, server_status, start_servers, stop_servers, superuser_url
from .starting import coming_supervisor, start_background
from .supervisor import Supervisor

__all__ = [
    "ALL_SERVERS",
    "CELERY_COMMAND",
    "CELERY_ENVIRONMENT",
    "Backoff",
    "ForkServer",
    "LogRotation",
    "ProcessSpec",
    "ProcessState",
    "ProcessStatus",
    "Server",
    "ServerStatus",
    "Servers",
    "Supervisor",
    "background_status",
    "coming_supervisor",
    "lost_supervisor",
    "server_status",
    "start_background",
    "start_servers",
    "stop_background",
    "stop_servers",
    "superuser_url",
    "unconfigured_servers",
]
