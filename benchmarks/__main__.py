"""``python -m benchmarks``: runs each workload, prints a table and writes ``benchmarks/results/latest.json``.

Arguments select workloads by name. Ratios hold only for one machine in one run.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import psutil
from rich.console import Console

from benchmarks.measure import show, write
from benchmarks.peers import Peers
from benchmarks.stack import ROOT, Stack

WORKLOADS = (
    *("text-sklearn", "text-transformer", "images", "no-op"),
    *("latency", "empty", "graph", "growth", "footprint", "schedules", "pages"),
)
_TIMES = 3
_RESULTS = ROOT / "benchmarks" / "results" / "latest.json"


def main() -> int:
    """Returns 1 if a workload failed. The others are measured even so."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; default: all")
    parser.add_argument("--times", type=int, help="repetitions of each system; default: 3, and 20 of a page")
    parser.add_argument("--records", type=int, help="how many records, instead of the workload's usual number")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="worker processes, also of the bare loop")
    parser.add_argument("--peers", action="store_true", help="also measure other systems (they need .venv-peers)")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="where the JSON goes")
    options = parser.parse_args()
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}: there are {', '.join(WORKLOADS)}")
    if len(options.workloads) == 1:
        _measure(options)
        return 0
    # Each workload runs in a process of its own, so that it starts with an empty memory.
    arguments = [argument for argument in sys.argv[1:] if argument not in WORKLOADS]
    codes = [
        subprocess.run([sys.executable, "-m", "benchmarks", *arguments, name], check=False).returncode
        for name in options.workloads or WORKLOADS
    ]
    return max(codes)


def _measure(options: argparse.Namespace) -> None:
    (name,) = options.workloads
    workload = import_module(f"benchmarks.workloads.{name.replace('-', '_')}")
    times = options.times or getattr(workload, "TIMES", _TIMES)
    console = Console()
    console.print(f"[bold]{name}[/], {_machine()}, {options.processes} processes, medians of {times}")
    peers = Peers() if options.peers else None
    if peers is not None:
        console.print(f"peers: {peers.versions() or 'none is installed'}")
    with (
        tempfile.TemporaryDirectory(prefix="batchord-bench-") as folder,
        Stack(Path(folder) / "home", processes=options.processes) as stack,
    ):
        records = options.records or _records(workload)
        results = workload.measure(stack, records=records, times=times, peers=peers)
    show(console, results)
    write(options.results, results)


def _records(workload: ModuleType) -> int:
    records: int = workload.RECORDS
    return records


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("celery", "scikit-learn", "torch", "transformers"))
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, {packages}"


if __name__ == "__main__":
    sys.exit(main())
