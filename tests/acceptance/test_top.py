"""``batchord top`` on a terminal."""

import fcntl
import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_COMMAND = [sys.executable, "-c", "from batchord.app.cli import main; main()", "top"]
#: The codes for the second screen of a terminal, and for the way back.
_AWAY, _BACK = b"\x1b[?1049h", b"\x1b[?1049l"


class _Screen:
    """The far end of a terminal."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.seen = b""

    def reads(self, wanted: bytes, *, times: int = 1) -> bool:
        """Whether all that was written so far has ``wanted`` so often."""
        try:
            self.seen += os.read(self.end, 65_536)
        except BlockingIOError:  # nothing new
            return self.seen.count(wanted) >= times
        return self.seen.count(wanted) >= times

    def press(self, keys: bytes) -> None:
        """Presses keys."""
        os.write(self.end, keys)


@contextmanager
def _top(cluster: Cluster) -> Iterator[tuple[subprocess.Popen[bytes], _Screen]]:
    far, near = pty.openpty()
    os.set_blocking(far, False)
    before = termios.tcgetattr(near)
    environment = {**os.environ, **cluster.environment, "TERM": "xterm"}
    running = subprocess.Popen(
        _COMMAND, env=environment, stdin=near, stdout=near, stderr=near, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 -- so that Ctrl-C reaches it
    )  # fmt: skip
    try:
        yield running, _Screen(far)
        assert termios.tcgetattr(near) == before, "the terminal is as before"
    finally:
        running.kill()
        running.wait()
        os.close(near)
        os.close(far)


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_it_is_drawn_again_until_a_key_ends_it(key: bytes, notes: Cluster) -> None:
    """On the terminal's second screen, which is left as it was found."""
    with _top(notes) as (running, screen):
        wait_until(lambda: screen.reads(b"1 pipeline, 0 open runs", times=3), description="three frames", timeout=60)
        assert _AWAY in screen.seen
        screen.press(key)
        wait_until(lambda: screen.reads(_BACK), description="the first screen is back")
        assert running.wait(timeout=30) == 0
        assert b"Traceback" not in screen.seen


def test_without_a_terminal_it_is_printed_once(notes: Cluster) -> None:
    """For people and for programs."""
    said = notes.batchord("top").stdout
    assert "1 pipeline, 0 open runs, 0 workers at work" in said
    assert "\x1b" not in said
    assert '"pipeline": "notes"' in notes.batchord("top", "--json").stdout
    assert "No worker answers." in said


def test_it_shows_workers_that_do_nothing(notes: Cluster) -> None:
    """For people and for programs."""
    notes.start("control")
    assert re.search(r"control@\S+ +4 +idle +control", notes.batchord("top").stdout)
    (worker,) = json.loads(notes.batchord("top", "--json").stdout)["workers"]
    assert (worker["queues"], worker["processes"], worker["tasks"]) == (["control"], 4, 0)
