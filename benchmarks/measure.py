"""Measures a system (seconds, records per second, memory), and shows the results in a table."""

import json
import statistics
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import psutil
from rich.console import Console
from rich.table import Table

#: The system that all others are compared with.
BARE = "bare loop"
#: The same for all systems. Reading the memory maps of a process with torch takes 10 ms, so four of them each second
#: take 2 % of two cores.
_SAMPLE_SECONDS = 1.0
_MEGABYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One repetition."""

    seconds: float
    #: The sum of the proportional shares (PSS) of all processes that compute, without servers.
    peak_mb: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One system in one workload: medians over the repetitions."""

    workload: str
    system: str
    seconds: float
    records_per_second: float
    #: The speed as a share of the bare loop's in the same run; None without a bare loop.
    ratio_to_bare: float | None
    peak_rss_mb: float
    #: For a figure of its own, such as a time from one event to another: what it is, and in which unit. None: the row
    #: compares systems.
    value: float | None = None
    unit: str | None = None


def figure(workload: str, system: str, *, seconds: float = 0.0, megabytes: float = 0.0, digits: int = 2) -> Row:
    """A time or a size that stands beside no bare loop; ``digits`` are those of the seconds after the point."""
    row = Row(
        workload=workload,
        system=system,
        seconds=round(seconds, digits),
        records_per_second=0.0,
        ratio_to_bare=None,
        peak_rss_mb=round(megabytes, 1),
    )
    return replace(row, value=row.peak_rss_mb, unit="MB") if megabytes else in_its_unit(row)


def in_its_unit(row: Row) -> Row:
    """The row as a figure of its own: its seconds, in milliseconds if they are few."""
    if row.seconds >= 1:
        return replace(row, value=row.seconds, unit="s")
    return replace(row, value=round(1000 * row.seconds, 3), unit="ms")


def rows(workload: str, records: int, taken: dict[str, Sequence[Measurement]], bare: str = BARE) -> list[Row]:
    """The medians of the measurements ``taken`` of each system."""
    seconds = {
        system: statistics.median(measurement.seconds for measurement in measurements)
        for system, measurements in taken.items()
    }
    return [
        Row(
            workload=workload,
            system=system,
            seconds=round(seconds[system], 4),
            records_per_second=round(records / seconds[system], 1),
            ratio_to_bare=round(seconds[bare] / seconds[system], 3) if bare in seconds else None,
            peak_rss_mb=round(statistics.median(measurement.peak_mb for measurement in measurements), 1),
        )
        for system, measurements in taken.items()
    ]


class PeakMemory:
    """Samples the memory of processes and of all their descendants while the block runs."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while True:
            self.peak_mb = max(self.peak_mb, proportional_mb(self._pids()))
            if ended:
                return
            ended = self._done.wait(_SAMPLE_SECONDS)


def proportional_mb(pids: Iterable[int]) -> float:
    """MiB of the processes and their descendants. Memory that several share counts only once (PSS)."""
    family: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            family |= {member.pid: member for member in (process, *process.children(recursive=True))}
        except psutil.NoSuchProcess:
            continue
    return sum(_own(process) for process in family.values()) / _MEGABYTE


def processor_seconds(pids: Iterable[int]) -> float:
    """The processor time that the processes and their living descendants have used so far."""
    total = 0.0
    for pid in pids:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _own(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0
    share: int = getattr(memory, "pss", memory.rss)  # macOS has no proportional share
    return share


def show(console: Console, results: Sequence[Row]) -> None:
    """Prints tables for people: systems beside each other, and figures in units of their own."""
    systems = [row for row in results if row.unit is None]
    if systems:
        _show_systems(console, systems)
    figures = [row for row in results if row.unit is not None]
    if figures:
        table = Table("Workload", "Figure", header_style="bold")
        for name in ("Value", "Unit", "Times the bare loop's"):
            table.add_column(name, justify="right")
        for row in figures:
            bare = next((other for other in figures if other.system == BARE and row.ratio_to_bare), None)
            times = "" if bare is None else f"{row.seconds / bare.seconds:.2f}"
            table.add_row(row.workload, row.system, f"{row.value:,.4g}", row.unit, times)
        console.print(table)


def _show_systems(console: Console, results: Sequence[Row]) -> None:
    table = Table("Workload", "System", header_style="bold")
    for name in ("Seconds", "Records/s", "Of the bare loop", "Peak MB"):
        table.add_column(name, justify="right")
    for row in results:
        ratio = "" if row.ratio_to_bare is None else f"{row.ratio_to_bare:.2f}"
        table.add_row(
            row.workload,
            row.system,
            f"{row.seconds:,.3f}",
            f"{row.records_per_second:,.0f}",
            ratio,
            f"{row.peak_rss_mb:,.0f}",
        )
    console.print(table)


def write(path: Path, results: Sequence[Row]) -> None:
    """Writes the rows as a list of objects. Rows of workloads that did not run this time stay."""
    new = {row.workload for row in results}
    kept: list[dict[str, Any]] = []
    if path.exists():
        kept = [row for row in json.loads(path.read_text(encoding="utf-8")) if row["workload"] not in new]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, *map(vars, results)], indent=1) + "\n", encoding="utf-8")
