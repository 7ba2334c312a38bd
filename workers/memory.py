"""Limits the memory of each process of a worker, so that one record cannot bring the machine down.

The operating system limits what a process allocates. Beyond the limit, an allocation fails in the process that wants
too much. Without it, the kernel would kill some process of its choice.
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
#: Without a setting, the limit is not lower than this if the machine has as much: a model of some size must load.
_LEAST_BYTES = 4096 * _MB
#: The workers' share of the memory. The rest is for servers, other processes and the page cache.
_SHARE = 0.9
#: The files with a container's limit on Linux: version 2 and version 1 of control groups.
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_limit: int | None = None


def limit_bytes(configured_mb: int | None, *, processes: int, total: int) -> int:
    """The limit of each of ``processes`` processes on a machine, or in a container, with ``total`` bytes of memory."""
    if configured_mb is not None:
        return configured_mb * _MB
    usable = int(total * _SHARE)
    return max(usable // processes, min(_LEAST_BYTES, usable))


def total_bytes() -> int:
    """The memory of this machine, or of this container if that is less."""
    total = int(psutil.virtual_memory().total)
    for file in _CGROUPS:
        try:
            limit = file.read_text(encoding="ascii").strip()
        except OSError:  # another version, or not Linux
            continue
        if limit.isdigit():  # otherwise "max": no limit
            total = min(total, int(limit))
    return total


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]
def decide_limit(conf: Any = None, options: Any = None, **_: Any) -> None:
    """Computes the limit before the pool is created, whose children inherit it."""
    global _limit  # noqa: PLW0603 -- one worker, one limit
    processes = int((options or {}).get("concurrency") or conf.worker_concurrency or os.cpu_count() or 1)
    _limit = limit_bytes(settings().memory_limit_mb, processes=processes, total=total_bytes())
    # In KiB. A process that has grown beyond the limit all the same is replaced after its shard.
    conf.worker_max_memory_per_child = _limit // 1024


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def limit_memory(**_: Any) -> None:
    """Sets the limit in each child of the pool."""
    if _limit is None:
        return
    # RLIMIT_DATA, not the address space: CUDA and memory-mapped weights reserve far more of that than they use.
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = _limit if hard == resource.RLIM_INFINITY else min(_limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
