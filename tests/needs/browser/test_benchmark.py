"""The benchmark of the pages runs as a person runs it, in small."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import servers_folder

pytestmark = pytest.mark.xdist_group("browser")
_ROOT = Path(__file__).parents[3]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder for temporary files: Chromium makes sockets there, whose paths may have 107 characters."""
    folder = servers_folder("batchord-bench-")
    yield folder
    shutil.rmtree(folder)


def test_pages_prints_a_table_and_writes_its_results(tmp_path: Path, short_folder: Path) -> None:
    """Over a ledger of its own, in which the engine finds no record without an outcome.

    Over a minute on a busy machine: it starts servers, workers, beat and Flower, and runs each of 20 pipelines once.
    """
    results = tmp_path / "latest.json"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHORD_", "AWS_"))}
    arguments = ("pages", "--records", "20000", "--times", "1", "--processes", "1", "--results", str(results))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=_ROOT,
        env=clean | {"TMPDIR": str(short_folder)},
        text=True,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "223 runs, 20,300 predictions; the large run has 3 shards" in done.stdout
    rows = json.loads(results.read_text())
    painted = [row for row in rows if "first" in row["system"] and "then 1 request" in row["system"]]
    assert len(painted) >= 10
    assert all(row["seconds"] > 0 for row in painted)
    assert [row["system"].partition(":")[0] for row in rows if "% of a core" in row["system"]] == [
        "Flower with no page open",
        "Flower with pipelines open",
        "Flower with a run open",
        "Flower with run with 3 shards open",
    ]
    assert not list(short_folder.glob("batchord-bench-*"))
