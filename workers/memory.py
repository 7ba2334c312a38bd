"""How much memory one process of a worker may take, so that one record cannot take the machine down.

The limit is the operating system's own, on what a process allocates: beyond it an allocation fails, in the
process that asked for too much, instead of the kernel killing whichever process it picks.
"""

import logging
import os
import resource
from pathlib import Path
from typing import Any

import psutil
from celery import signals

from batchord.settings import settings

log = logging.getLogger(__name__)

_MB = 1024 * 1024
#: Without a setting no process is limited to less, where the machine has it: a model of some size must load.
_LEAST_BYTES = 4096 * _MB
#: What is left to servers, other processes and the page cache.
_SHARE = 0.9
#: Where Linux tells a container's limit: version 2 and version 1 of control groups.
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_limit: int | None = None


def limit_bytes(configured_mb: int | None, *, processes: int, total: int) -> int:
    """The limit of each of ``processes`` on a machine, or in a container, with ``total`` bytes of memory."""
    if configured_mb is not None:
        return configured_mb * _MB
    usable = int(total * _SHARE)
    return max(usable // processes, min(_LEAST_BYTES, usable))


def total_bytes() -> int:
    """Memory of this machine, or of this container where that is less."""
    total = int(psutil.virtual_memory().total)
    for file in _CGROUPS:
        try:
            said = file.read_text(encoding="ascii").strip()
        except OSError:  # another version, or no Linux
            continue
        if said.isdigit():  # else "max": no limit
            total = min(total, int(said))
    return total


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]
def decide_limit(conf: Any = None, options: Any = None, **_: Any) -> None:
    """Before the pool is made: its children inherit the number."""
    global _limit  # noqa: PLW0603 -- one worker, one limit
    processes = int((options or {}).get("concurrency") or conf.worker_concurrency or os.cpu_count() or 1)
    _limit = limit_bytes(settings().memory_limit_mb, processes=processes, total=total_bytes())
    # A process that has grown beyond it all the same is replaced after its shard; in KiB.
    conf.worker_max_memory_per_child = _limit // 1024


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def limit_memory(**_: Any) -> None:
    """In each child of the pool."""
    if _limit is None:
        return
    # Data, not address space: CUDA and memory-mapped weights reserve far more of that than they use.
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = _limit if hard == resource.RLIM_INFINITY else min(_limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
