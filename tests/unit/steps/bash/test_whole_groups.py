"""Nothing that a command started outlives it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from batchord.core.errors import LeaseLost, OutOfTime
from tests.unit.steps.bash.commands import pid_in, run, runs
from tests.waiting import wait_until

#: Ways to leave something behind; ``{file}`` gets its process number.
LEFT_BEHIND = {
    "in the background": "sleep 1000 & echo $! > {file}",
    "deaf to SIGTERM": "(trap '' TERM; echo $BASHPID > {file}; while :; do sleep 1000; done) &",
    "in a session of its own": "setsid bash -c 'echo $$ > {file}; exec sleep 1000' & until [ -s {file} ]; do :; done",
    "without its environment": "env -i /bin/bash -c 'echo $$ > {file}; exec /bin/sleep 1000' &",
    "that was stopped": "sleep 1000 & echo $! > {file}; kill -STOP $!",
    "a grandchild": "bash -c '(sleep 1000 & echo $! > {file}) &'; until [ -s {file} ]; do :; done",
}
left_behind = pytest.mark.parametrize("leave", LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())


@left_behind
def test_what_is_left_behind_ends_with_the_command(leave: str, tmp_path: Path) -> None:
    """The result does not wait for background processes that hold the pipes."""
    begun = time.monotonic()
    file = tmp_path / "pid"
    assert run(f"{leave.format(file=file)}\nuntil [ -s {file} ]; do :; done; echo done") == "done"
    assert not runs(pid_in(file))
    assert time.monotonic() - begun < 10


@left_behind
def test_everything_ends_with_the_time_limit(leave: str, tmp_path: Path) -> None:
    """The command itself is deaf to SIGTERM."""
    file = tmp_path / "pid"
    with pytest.raises(OutOfTime):
        run(f"trap '' TERM; {leave.format(file=file)}\nwhile :; do sleep 1000; done", time_limit=1)
    assert not runs(pid_in(file))


def test_a_lost_lease_ends_the_command(tmp_path: Path) -> None:
    """Another worker may run it again already."""
    stop = threading.Event()
    file = tmp_path / "pid"

    def on_line(_stream: str, _line: str) -> None:
        stop.set()

    with pytest.raises(LeaseLost):
        run(f"sleep 1000 & echo $! > {file}; echo on; wait", stop=stop, on_line=on_line)
    assert not runs(pid_in(file))


def test_a_command_may_clean_up_when_it_is_ended(tmp_path: Path) -> None:
    """SIGTERM comes first, and what the command writes after it is still recorded."""
    seen: list[str] = []
    with pytest.raises(OutOfTime):
        run(
            f"trap 'echo clean; touch {tmp_path}/clean; exit 0' TERM; while :; do sleep 0.1; done",
            time_limit=0.5,
            grace=10,
            on_line=lambda _, line: seen.append(line),  # bash also tells of the sleep that was ended
        )
    assert (tmp_path / "clean").exists()
    assert "clean" in seen


def test_a_line_that_cannot_be_kept_ends_the_command(tmp_path: Path) -> None:
    """Whatever is raised where the lines go is raised here."""
    file = tmp_path / "pid"

    def on_line(_stream: str, _line: str) -> None:
        raise OSError("the log is full")

    with pytest.raises(OSError, match="the log is full"):
        run(f"sleep 1000 & echo $! > {file}; echo on; wait", on_line=on_line)
    assert not runs(pid_in(file))


_PARENT = """
import sys, threading
from batchord.steps.bash.shell import run_command
run_command(
    sys.argv[1], env={}, cwd=None, time_limit=None, stop=threading.Event(), on_line=lambda *line: print(*line)
)
"""


#: Ends itself the moment it sees that the command runs.
_KILLED_AT_ONCE = """
import os, signal, sys, threading
def watch():
    while not os.path.exists(sys.argv[2]):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=watch).start()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@left_behind
def test_a_killed_worker_takes_its_command_with_it(leave: str, number: signal.Signals, tmp_path: Path) -> None:
    """Bash, its group and what left the group, within seconds."""
    file, own = tmp_path / "pid", tmp_path / "bash"
    command = (
        f"{leave.format(file=file)}\necho $$ > {own}; until [ -s {file} ]; do :; done; while :; do sleep 1000; done"
    )
    with subprocess.Popen([sys.executable, "-c", _PARENT, command], stderr=subprocess.DEVNULL) as parent:
        pids = [pid_in(file), pid_in(own)]
        os.kill(parent.pid, number)
    wait_until(lambda: not any(map(runs, pids)), description="everything ended", timeout=20)


def test_a_worker_that_is_killed_at_once_leaves_nothing(tmp_path: Path) -> None:
    """The guard is there before the command."""
    file = tmp_path / "pid"
    code = _KILLED_AT_ONCE + _PARENT
    with subprocess.Popen([sys.executable, "-c", code, f"echo $$ > {file}; while :; do sleep 1000; done", str(file)]):
        pass
    pid = pid_in(file)
    wait_until(lambda: not runs(pid), description="the command ended", timeout=20)


def test_the_guard_survives_what_ends_the_workers_group(tmp_path: Path) -> None:
    """A stack that stops kills whole groups."""
    file = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, f"echo $$ > {file}; sleep 1000"], start_new_session=True)
    pid = pid_in(file)
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not runs(pid), description="the command ended", timeout=20)


def test_the_workers_own_children_are_left_alone() -> None:
    """Only what carries the command's mark, or is of its group, ends with it."""
    with subprocess.Popen(["sleep", "1000"]) as other:
        run("true")
        assert other.poll() is None
        other.kill()


def test_a_command_may_clean_up_although_its_worker_ignores_the_signal(tmp_path: Path) -> None:
    """Pool processes of Celery do; what they start would inherit that, and bash could not trap it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    trapped = threading.Event()
    # In a loop: the sleep may be ended first, and bash must still be there for its own signal.
    command = f"trap 'echo > {tmp_path}/cleaned; exit' TERM; echo trapped; while :; do sleep 1; done"
    try:
        with pytest.raises(LeaseLost):
            run(command, grace=20, stop=trapped, on_line=lambda *_: trapped.set())
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "cleaned").exists()
