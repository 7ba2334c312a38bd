"""What people pick instead of Batchord: a chord of their own, Ray Data, Daft."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import Measurement, PeakMemory
from benchmarks.stack import ROOT, Stack
from benchmarks.workloads.predictions import output_table

#: Made by ``make bench PEERS=1``: they and Batchord want different versions of the same libraries.
_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
_CHORDS = {"naive": "naive chord (1,000 ids a task)", "good": "good chord (40 ranges, COPY)"}
_FRAMES = {"ray": "Ray Data", "daft": "Daft"}

System = Callable[[], Measurement]


class Peers:
    """Those that are installed here."""

    def systems(self, stack: Stack, workload: str, *, records: int, **arguments: object) -> "dict[str, System]":
        """Name -> one repetition; the names of their output tables by :meth:`outputs`."""
        given = {"database_url": stack.database_url, "records": records, **arguments}
        found: dict[str, System] = {}
        if workload == "text-sklearn":
            for name, title in _CHORDS.items():
                found[title] = _chord(stack, name, given)
        for name, program in _programs(workload).items():
            found[_FRAMES[name]] = _frame(stack, name, program, given)
        return found

    def outputs(self, workload: str) -> list[str]:
        """Of ``out_NAME``: the tables that the systems write."""
        chords = list(_CHORDS) if workload == "text-sklearn" else []
        return chords + list(_programs(workload))


def _programs(workload: str) -> dict[str, Path]:
    """Those that have a program for the workload, where they are installed."""
    folder = Path(__file__).parent / "systems"
    programs = {name: folder / f"{name}_{workload.replace('-', '_')}.py" for name in _FRAMES}
    return {name: program for name, program in programs.items() if _PYTHON.exists() and program.exists()}


def _chord(stack: Stack, name: str, given: dict[str, object]) -> System:
    address = f"{stack.redis_url.rpartition('/')[0]}/{1 + list(_CHORDS).index(name)}"
    pids = stack.start_peer(name, f"benchmarks.systems.chord_{name}", PEER_REDIS_URL=address)

    def run() -> Measurement:
        output_table(stack, name)
        os.environ["PEER_REDIS_URL"] = address
        with PeakMemory(lambda: pids) as memory:
            found = stack.bare(f"chord_{name}", **given)
        return replace(found, peak_mb=memory.peak_mb)

    run()  # until its processes have the model
    return run


def _frame(stack: Stack, name: str, program: Path, given: dict[str, object]) -> System:
    def run() -> Measurement:
        output_table(stack, name)
        return stack.program(str(_PYTHON), str(program), **given, processes=stack.processes)

    return run
