"""Systems that people use instead of Batchord: a chord of their own, Ray Data, Daft."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Measurement, PeakMemory
from benchmarks.stack import ROOT, Stack
from benchmarks.workloads.predictions import output_table

#: ``make bench PEERS=1`` makes this environment: the peers and Batchord need different versions of the same libraries.
_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
_CHORDS = {"naive": "naive chord (1,000 ids a task)", "good": "good chord (40 ranges, COPY)"}
_FRAMES = {"ray": "Ray Data", "daft": "Daft"}

#: Peers have libraries of their own, so their own Python tells the versions.
_VERSIONS = """
from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in ("ray", "daft")))
"""

System = Callable[[], Measurement]


class Peers:
    """The systems that are installed here."""

    def systems(self, stack: Stack, workload: str, *, records: int, **arguments: object) -> "dict[str, System]":
        """The systems by their titles; a call runs one repetition. :meth:`outputs` has the names of their tables."""
        all_arguments = {"database_url": stack.database_url, "records": records, **arguments}
        by_title: dict[str, System] = {}
        if workload == "text-sklearn":
            for name, title in _CHORDS.items():
                by_title[title] = _chord(stack, name, all_arguments)
        for name, program in _programs(workload).items():
            by_title[_FRAMES[name]] = _frame(stack, name, program, all_arguments)
        return by_title

    def versions(self) -> str:
        """The installed peers with their versions, for people; empty if there is none."""
        if not _PYTHON.exists():
            return ""
        done = subprocess.run([str(_PYTHON), "-c", _VERSIONS], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def outputs(self, workload: str) -> list[str]:
        """The names of the systems that write a table ``out_NAME``."""
        chords = list(_CHORDS) if workload == "text-sklearn" else []
        return chords + list(_programs(workload))


def _programs(workload: str) -> dict[str, Path]:
    """The programs for the workload, by the names of the installed systems."""
    folder = Path(__file__).parent / "systems"
    programs = {name: folder / f"{name}_{workload.replace('-', '_')}.py" for name in _FRAMES}
    return {name: program for name, program in programs.items() if _PYTHON.exists() and program.exists()}


def _chord(stack: Stack, name: str, arguments: dict[str, object]) -> System:
    address = f"{stack.redis_url.rpartition('/')[0]}/{1 + list(_CHORDS).index(name)}"
    pids = stack.start_peer(name, f"benchmarks.systems.chord_{name}", PEER_REDIS_URL=address)

    def run() -> Measurement:
        output_table(stack, name)
        os.environ["PEER_REDIS_URL"] = address
        with PeakMemory(lambda: pids) as memory:
            measurement = stack.bare(f"chord_{name}", **arguments)
        return replace(measurement, peak_mb=memory.peak_mb)

    run()  # makes its processes load the model
    return run


def _frame(stack: Stack, name: str, program: Path, arguments: dict[str, object]) -> System:
    def run() -> Measurement:
        output_table(stack, name)
        return stack.program(str(_PYTHON), str(program), **arguments, processes=stack.processes)

    return run
