"""The benchmarks run as a person runs them, in small."""

import json
import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_no_op_prints_a_table_and_writes_its_results(tmp_path: Path) -> None:
    """With servers and workers of its own, none of which is left.

    Over 30 seconds on a busy machine: it starts servers, workers and beat, as `make bench` does.
    """
    results = tmp_path / "latest.json"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHORD_", "AWS_"))}
    arguments = ("no-op", "--records", "4000", "--times", "1", "--processes", "2", "--results", str(results))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=_ROOT,
        env=clean | {"TMPDIR": str(tmp_path)},
        text=True,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Batchord" in done.stdout
    statement, one_copy, two_copies, batchord = json.loads(results.read_text())
    assert {row["workload"] for row in (statement, one_copy, two_copies, batchord)} == {"no-op"}
    assert {one_copy["seconds"] > 0, two_copies["seconds"] > 0} == {True}
    assert batchord["system"] == "Batchord"
    assert batchord["seconds"] > 0
    assert not list(tmp_path.glob("batchord-bench-*"))
