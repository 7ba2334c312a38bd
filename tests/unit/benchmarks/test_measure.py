"""What a benchmark says of its repetitions, and keeps of those of other workloads."""

import json
import os
from pathlib import Path

from rich.console import Console

from benchmarks.measure import BARE, Measurement, PeakMemory, figure, proportional_mb, rows, show, write
from tests.waiting import wait_until


def _taken(*seconds: float) -> list[Measurement]:
    return [Measurement(seconds=each, peak_mb=10.0) for each in seconds]


def test_medians_and_ratios_to_the_bare_loop() -> None:
    """Half the time is twice the speed."""
    bare, fast = rows("work", 100, {BARE: _taken(9.0, 2.0, 1.0), "fast": _taken(1.0, 1.0, 7.0)})
    assert (bare.seconds, bare.records_per_second, bare.ratio_to_bare) == (2.0, 50.0, 1.0)
    assert (fast.seconds, fast.records_per_second, fast.ratio_to_bare) == (1.0, 100.0, 2.0)


def test_without_a_bare_loop_there_is_no_ratio() -> None:
    """As for how time grows with the data."""
    (row,) = rows("growth", 10, {"10 rows": _taken(1.0)})
    assert row.ratio_to_bare is None


def test_results_of_other_workloads_stay(tmp_path: Path) -> None:
    """One workload may be measured again by itself."""
    file = tmp_path / "results" / "latest.json"
    write(file, rows("one", 1, {BARE: _taken(1.0)}) + rows("two", 1, {BARE: _taken(2.0)}))
    write(file, rows("one", 1, {BARE: _taken(3.0)}))
    found = json.loads(file.read_text())
    assert {row["workload"]: row["seconds"] for row in found} == {"one": 3.0, "two": 2.0}
    assert set(found[0]) == {
        "workload",
        "system",
        "seconds",
        "records_per_second",
        "ratio_to_bare",
        "peak_rss_mb",
        "value",
        "unit",
    }


def test_a_figure_has_a_unit_of_its_own() -> None:
    """A time of milliseconds is no table of seconds, and a size is no time."""
    short, long, size = (figure("work", "it", **said) for said in ({"seconds": 0.05}, {"seconds": 5}, {"megabytes": 7}))
    assert [(row.value, row.unit) for row in (short, long, size)] == [(50.0, "ms"), (5, "s"), (7, "MB")]
    console = Console(width=200, record=True)
    show(console, [short, size, *rows("other", 100, {BARE: _taken(1.0)})])
    shown = console.export_text()
    assert "50" in shown
    assert "MB" in shown
    assert "Records/s" in shown


def test_the_peak_is_that_of_the_while() -> None:
    """Memory that is given back before the end counts."""
    before = proportional_mb([os.getpid()])
    with PeakMemory(lambda: [os.getpid()]) as memory:
        much = bytearray(os.urandom(1)) * (200 * 2**20)
        wait_until(lambda: memory.peak_mb > before + 150, description="a sample sees it", timeout=30)
        del much
    assert memory.peak_mb < before + 400


def test_a_process_that_has_ended_takes_no_memory() -> None:
    """It may end between two samples."""
    no_pid = 2**22 + 1
    assert proportional_mb([no_pid]) == 0.0
