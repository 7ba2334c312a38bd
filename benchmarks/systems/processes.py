"""Measures the bare loops, from the moment when all processes are ready to the moment when all are done."""

import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any


def main(load: Callable[..., Any], work: Callable[..., None]) -> None:
    """Runs ``work(load(**arguments), part, parts, **arguments)`` in each process, and prints the seconds.

    The arguments come from the command line. Loading does not count: a worker, too, has its model in memory when a run
    begins.
    """
    arguments = json.loads(sys.argv[1])
    parts = arguments.pop("processes")
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(parts + 1)
    processes = [
        context.Process(target=_run, args=(barrier, load, work, (part, parts), arguments)) for part in range(parts)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    started = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - started
    for process in processes:
        process.join()
    print(seconds)


def _run(
    barrier: Barrier,
    load: Callable[..., Any],
    work: Callable[..., None],
    part_of: tuple[int, int],
    arguments: dict[str, Any],
) -> None:
    try:
        loaded = load(**arguments)
        barrier.wait()
        work(loaded, *part_of, **arguments)
        barrier.wait()
    except BaseException:
        barrier.abort()
        raise
