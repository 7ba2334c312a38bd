"""Fault points act only as the environment says. Every test uses a new interpreter."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from batchord.core.process.fault_points import fault

_ROOT = Path(__file__).parents[4]
#: Passes the places that it is given, and prints for each whether it raised.
_PASSING = """
    import json, sys
    from batchord.core.errors import TransientError
    from batchord.core.process.fault_points import fault

    said = []
    for place in sys.argv[1:]:
        try:
            fault(place)
        except TransientError as error:
            said.append(str(error))
        else:
            said.append("passed")
    print(json.dumps(said))
"""


def _passing(*places: str, faults: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"BATCHORD_FAULTS": faults, "PYTHONPATH": str(_ROOT)}
    if folder is not None:
        environment["BATCHORD_FAULTS_DIR"] = str(folder)
    return subprocess.run(
        [sys.executable, "-c", dedent(_PASSING), *places],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _said(*places: str, faults: str, folder: Path | None = None) -> list[str]:
    done = _passing(*places, faults=faults, folder=folder)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def test_nothing_happens_where_nobody_asked_for_a_fault() -> None:
    """This process has none, and neither has any process outside of tests."""
    for place in ("before-batch-commit", "no such place", ""):
        fault(place)


def test_a_fault_strikes_at_its_place_and_its_pass_alone() -> None:
    """Passes before and after it, and other places, go on; without a number it is the first."""
    assert _said("a", "b", "a", "a", "b", faults="a=raise@2;b=raise") == [
        "passed", "fault b", "fault a", "passed", "passed",
    ]  # fmt: skip


def test_a_killed_process_is_gone_at_once() -> None:
    """Without a traceback, an exit handler or a word, as when the machine takes it."""
    done = _passing("a", "b", faults="b=kill")

    assert done.returncode == -signal.SIGKILL
    assert (done.stdout, done.stderr) == ("", "")


def test_passes_are_counted_over_processes_in_a_folder(tmp_path: Path) -> None:
    """So the process that takes a killed one's place is not killed as well."""
    faults = "a=kill@2"

    assert _said("a", faults=faults, folder=tmp_path) == ["passed"]
    assert _passing("a", faults=faults, folder=tmp_path).returncode == -signal.SIGKILL
    assert _said("a", "a", faults=faults, folder=tmp_path) == ["passed", "passed"]


def test_without_a_folder_each_process_counts_for_itself() -> None:
    """The next process counts from zero, so the same pass fails again."""
    for _ in range(2):
        assert _said("a", "a", faults="a=raise@2") == ["passed", "fault a"]


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ("a=explode", "names the unknown action 'explode'. The actions are kill, kill-parent, stop, raise, delay"),
        ("a", "names the unknown action ''"),
        ("a=kill@soon", "'soon'"),
    ],
)
def test_a_fault_that_cannot_be_read_stops_the_process(faults: str, said: str) -> None:
    """A drill that drills nothing would pass."""
    done = _passing("b", faults=faults)

    assert done.returncode == 1
    assert "ValueError" in done.stderr
    assert said in done.stderr
