"""Runs every drill in full, repeatedly, and prints the results.

``python -m tests.drills --times 20``; arguments that it does not know are handed on to pytest.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def main() -> int:
    """Pytest's exit code; the table is printed whatever it is."""
    parser = argparse.ArgumentParser(prog="make drills", description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="how often each drill runs")
    parser.add_argument("--report", type=Path, help="keep the results here, a line of JSON for each drill; appended to")
    parser.add_argument("--table-only", action="store_true", help="run nothing; make the table of what --report holds")
    options, others = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="batchord-drills-") as folder:
        report = options.report or Path(folder) / "drills.jsonl"
        code = 0 if options.table_only else _run(report, options.times, others)
        if report.exists():
            lines = report.read_text(encoding="utf-8").splitlines()
            print("\n".join(table(json.loads(line) for line in lines)))  # noqa: T201 -- this is the program's output
    return code


def _run(report: Path, times: int, others: list[str]) -> int:
    # The long forms, as with `BATCHORD_DRILLS_FULL=1 make test`.
    environment = os.environ | {"BATCHORD_DRILLS_FULL": "1"}
    command = [sys.executable, "-m", "pytest", f"--times={times}", f"--report-drills={report}"]
    if not any(other.startswith("tests/") for other in others):
        command.append("tests/drills")
    return subprocess.run([*command, *others], env=environment, check=False).returncode


def table(results: Iterable[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table: one for each drill, and one for all."""
    by_drill: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_drill.setdefault(_title(result["drill"]), []).append(result)
    lines = ["| Drill | Times | Failed | Lost | Twice | Recovery, median | worst |", "|---|--:|--:|--:|--:|--:|--:|"]
    lines += [_row(title, runs) for title, runs in sorted(by_drill.items())]
    lines.append(_row("**All**", [run for runs in by_drill.values() for run in runs]))
    return lines


def _row(title: str, runs: list[dict[str, Any]]) -> str:
    recoveries = [run["recovery_seconds"] for run in runs if run["recovery_seconds"] is not None]
    median, worst = (f"{statistics.median(recoveries):.1f} s", f"{max(recoveries):.1f} s") if recoveries else ("", "")
    failed = sum(not run["passed"] for run in runs)
    lost, twice = (sum(run[kind] for run in runs) for kind in ("lost", "twice"))
    return f"| {title} | {len(runs)} | {failed} | {lost} | {twice} | {median} | {worst} |"


def _title(drill: str) -> str:
    """``test_redis.py::test_it_dies[aof-3]`` as words: the file, the test and its case, without the repetition."""
    file, _, test = drill.partition("::")
    name, _, case = test.removesuffix("]").partition("[")
    case = re.sub(r"#\d+-|-?#\d+", "", case)
    group = file.removeprefix("test_").removesuffix(".py").replace("_", " ")
    words = name.removeprefix("test_").replace("_", " ")
    return f"{group}: {words}" + (f" (`{case}`)" if case else "")


if __name__ == "__main__":
    sys.exit(main())
