"""Plays schedules of a simulated stack, each decided by its seed: ``make simulate SEEDS=10000``.

A seed that fails is cut down to what it needs, and told as a story with the command that plays it again. Exit code 1 if
any seed failed. With ``--mutations``, faults are put into the code on purpose, and the seed that finds each is shown.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from rich.console import Console
from rich.progress import Progress

from app.localstack import start_servers, stop_servers, superuser_url
from batchord.ledger.roles.preparing import prepare_database
from tests.folders import servers_folder
from tests.simulation.mutations import MUTATIONS
from tests.simulation.players import found, played, prepare, shrunk
from tests.simulation.shrink import story
from tests.simulation.simulation import Outcome

#: The most failed seeds that are told as stories. The others are only named.
_MOST_STORIES = 3
_CHUNK = 5
#: Wide enough for the lines where it is a file.
_console = Console(width=None if sys.stdout.isatty() else 120)


def main() -> int:
    """Plays the schedules; 0 if nothing was found in any of them, or, with ``--mutations``, if all were found."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--whole", action="store_true", help="tells a failed schedule without cutting it down")
    parser.add_argument(
        "--mutations",
        nargs="?",
        const="",
        metavar="WORDS",
        help="looks for the faults that are put in on purpose, or for those that are named with these words",
    )
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    home = servers_folder("batchord-simulation-")
    try:
        servers = start_servers(home, durable=False)
        prepare_database(servers.database_roles())
        url = superuser_url(home)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.processes, mp_context=spawn, initializer=prepare, initargs=[url]) as pool:
            if options.mutations is None:
                return _play(pool, seeds, whole=options.whole)
            return _find_mutations(pool, seeds, [name for name in MUTATIONS if options.mutations in name])
    finally:
        stop_servers(home)
        shutil.rmtree(home)


def _play(pool: ProcessPoolExecutor, seeds: range, *, whole: bool) -> int:
    began, failed, deliveries = time.monotonic(), list[Outcome](), 0
    with Progress(console=_console, transient=True) as progress:
        bar = progress.add_task("Schedules", total=len(seeds))
        for outcome in pool.map(played, seeds, chunksize=_CHUNK):
            progress.advance(bar)
            deliveries += outcome.deliveries
            if outcome.findings:
                failed.append(outcome)
                progress.console.print(f"seed {outcome.seed}: {outcome.findings[0]}", soft_wrap=True, highlight=False)
    seconds = time.monotonic() - began
    for outcome in failed[:_MOST_STORIES]:
        told = outcome if whole else pool.submit(shrunk, outcome).result()
        _console.rule(f"seed {outcome.seed}")
        _console.print(story(told), soft_wrap=True, highlight=False, markup=False)
        _console.print(f'Play it again: make simulate SEEDS=1 ARGS="--first {outcome.seed}"', highlight=False)
    _console.print(
        f"{len(seeds):,} schedules with {deliveries:,} deliveries in {seconds:,.0f} s "
        f"({len(seeds) / seconds * 60:,.0f} a minute): {len(failed)} failed.",
        highlight=False,
    )
    return 1 if failed else 0


def _find_mutations(pool: ProcessPoolExecutor, seeds: range, names: list[str]) -> int:
    missed = 0
    for search in as_completed([pool.submit(found, name, seeds) for name in names]):
        name, seed, finding = search.result()
        missed += seed is None
        what = "not found" if seed is None else f"found by seed {seed}, after {seed - seeds.start + 1:,}: {finding}"
        _console.print(f"{name}: {what}", soft_wrap=True, highlight=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
