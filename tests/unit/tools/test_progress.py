"""The set-up shows how far it is, and tells of packages that are older than the lock."""

import io
import sys
from pathlib import Path

import pytest

from tools.locks import RUN, older, pins
from tools.terminal import follow

_PIP = """\
Collecting numpy==2.3 (from -r requirements/run.txt (line 3))
Collecting pandas==3.0
Downloading numpy-2.3-cp311.whl (16 MB)
Downloading pandas-3.0-cp311.whl (12 MB)
Installing collected packages: numpy, pandas
Successfully installed numpy-2.3 pandas-3.0
"""


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_a_pipe_gets_a_line_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """Not one for each package; all of pip's lines are in the log."""
    log = io.StringIO()
    assert follow(_PIP.splitlines(keepends=True), log)[-1] == "Successfully installed numpy-2.3 pandas-3.0"
    stages = [line.split("s  ")[1] for line in capsys.readouterr().out.splitlines()]
    assert stages == ["choosing the packages", "downloading", "installing"]
    assert log.getvalue() == _PIP


def test_a_terminal_gets_the_latest_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, which is empty again at the end."""
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    follow(_PIP.splitlines(keepends=True), io.StringIO())
    assert "\n" not in screen.getvalue()
    assert "Downloading pandas" in screen.getvalue()
    assert screen.getvalue().split("\r")[-2].strip() == ""


def test_packages_that_are_older_than_the_lock_are_known(tmp_path: Path) -> None:
    """Whatever the Python; newer ones, other builds and packages of one's own are none."""
    lock = tmp_path / "run.txt"
    lock.write_text("numpy==2.3.0 ; python_version < '3.12'\nnumpy==2.4.1\ntorch==2.13\npandas==3.0.2\nclick==8.2\n")
    installed = {"numpy": "2.3", "torch": "2.13.0+cpu", "pandas": "3.0.10", "click": "8.1.9", "mine": "0.1"}
    assert older(installed, lock) == {"click": ("8.1.9", "8.2")}
    assert older(installed | {"numpy": "2.2.9"}, lock)["numpy"] == ("2.2.9", "2.3.0")


def test_the_lock_itself_is_not_older_than_itself() -> None:
    """Nothing is told where everything is as locked."""
    locked = {name: pin.partition("==")[2] for name, pin in pins(RUN.path).items()}
    assert older(locked, RUN.path) == {}
