"""Nothing outlives its supervisor: after Ctrl-C, after a second one, after SIGKILL, and in the background."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.localstack import (
    ProcessSpec,
    ProcessState,
    Server,
    background_status,
    daemons,
    lost_supervisor,
    server_status,
    start_background,
    start_servers,
    stop_background,
)
from app.localstack.interrupts import interrupted_once
from batchord.core.errors import ConfigurationError
from tests.integration.stack_processes import LAST_WORDS, POLITE, STUBBORN, child_of, gone, log, ready, running, spec
from tests.waiting import wait_until

#: A program with a supervisor inside, as `batchord demo` is.
PROGRAM = """
import sys, threading
from pathlib import Path
from app.localstack import ProcessSpec, Supervisor
command, patience = (sys.executable, "-c", sys.argv[2]), float(sys.argv[3])
specs = [ProcessSpec(name=name, command=command, patience=patience) for name in ("one", "two")]
with Supervisor(specs, Path(sys.argv[1])):
    print("up", flush=True)
    threading.Event().wait()
"""

#: A program that starts the servers and is interrupted in it: PostgreSQL takes a second the first time.
STARTING = (
    "import sys, pathlib; from batchord.app.localstack import start_servers; start_servers(pathlib.Path(sys.argv[1]))"
)


@pytest.fixture
def program(own_home: Path) -> Iterator["Program"]:
    """Starts programs with a supervisor inside, and kills those that the test leaves."""
    program = Program(own_home)
    yield program
    program.end()


class Program:
    """One such program."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, code: str, patience: float) -> "subprocess.Popen[bytes]":
        """Start it and wait until its processes are up."""
        command = [sys.executable, "-c", PROGRAM, str(self.home), code, str(patience)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"up\n"
        wait_until(lambda: log(self.home, "one") and log(self.home, "two"), description="both processes speak")
        return self.process

    def end(self) -> None:
        """Whatever the test did not end."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_ctrl_c_stops_everything(own_home: Path, program: Program) -> None:
    """Processes are gone when the program is."""
    process = program.start(POLITE, 10.0)
    pids = running(background_status(own_home))
    assert len(pids) == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) != 0
    assert gone(*pids)


def test_ctrl_c_while_servers_start_stops_them(own_home: Path) -> None:
    """Twice, as people press it: the second one does not disturb the cleaning up."""
    command = [sys.executable, "-c", STARTING, str(own_home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_until((own_home / "logs" / "redis.log").exists, description="Valkey was started")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert b"KeyboardInterrupt" in process.stderr.read()
    assert {status.state for status in server_status(own_home)} == {"stopped"}


def test_a_second_ctrl_c_does_not_wait(own_home: Path, program: Program) -> None:
    """While a process does not listen, the second Ctrl-C kills it, with its children, at once."""
    process = program.start(STUBBORN, 600.0)
    ready(own_home, "one", "child")
    ready(own_home, "two", "child")
    pids = [*running(background_status(own_home)), child_of(own_home, "one"), child_of(own_home, "two")]
    process.send_signal(signal.SIGINT)

    def interrupted() -> bool:
        process.send_signal(signal.SIGINT)
        return gone(*pids)

    wait_until(interrupted, description="all are gone", interval=0.2)
    process.wait(timeout=20)


def test_a_killed_supervisor_takes_its_processes_along(own_home: Path, program: Program) -> None:
    """After SIGKILL nothing of it is left, and the next supervisor starts when that is so."""
    process = program.start(POLITE, 10.0)
    pids = running(background_status(own_home))
    process.kill()
    wait_until(lambda: gone(*pids), description="the processes are gone")
    assert {status.state for status in background_status(own_home)} == {ProcessState.STOPPED}


def test_a_lost_supervisor_is_known_until_the_stack_is_started_or_stopped(own_home: Path) -> None:
    """`status` says so; `up` works at once, although the guard of the lost one may still be at work."""
    assert lost_supervisor(own_home) is None
    pid = start_background(own_home, [spec("stubborn", STUBBORN)])
    assert lost_supervisor(own_home) is None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: lost_supervisor(own_home) == pid, description="the supervisor is missed")
    again = start_background(own_home, [spec("polite", POLITE)])
    assert lost_supervisor(own_home) is None
    os.kill(again, signal.SIGKILL)
    wait_until(lambda: lost_supervisor(own_home) == again, description="the supervisor is missed")
    stop_background(own_home)
    assert lost_supervisor(own_home) is None


def test_the_background_stack_is_found_and_stopped(own_home: Path) -> None:
    """Started by one program, asked and stopped by another; its servers too."""
    pid = start_background(own_home, [spec("polite", POLITE)], servers=[Server.REDIS])
    ready(own_home, "polite", "ready")
    assert os.getsid(pid) == pid
    (status,) = background_status(own_home)
    assert status.state is ProcessState.RUNNING
    assert status.pid is not None
    assert server_status(own_home)[1].state == "running"
    assert not list((own_home / "run").glob("spec*"))
    with pytest.raises(ConfigurationError, match="is already running"):
        start_background(own_home, [])
    assert stop_background(own_home)
    assert gone(pid, status.pid)
    assert server_status(own_home)[1].state == "stopped"
    assert not stop_background(own_home)


def test_each_process_has_its_own_patience(own_home: Path) -> None:
    """A worker may take longer to end than beat; all of them together may take longer than `down` waits for one."""
    start_background(own_home, [spec("stubborn", STUBBORN, patience=0.1), spec("slow", LAST_WORDS, patience=600.0)])
    ready(own_home, "stubborn", "child")
    ready(own_home, "slow", "ready")
    began = time.monotonic()
    assert stop_background(own_home)
    assert time.monotonic() - began < 200.0  # the stubborn one did not get the time of the slow one
    assert "last words" in log(own_home, "slow")


def test_a_background_stack_that_cannot_start_says_why(own_home: Path) -> None:
    """The reason is in the error, not only in a log, and nothing is left running."""
    with pytest.raises(ConfigurationError, match=r"missing.*nonexistent"):
        start_background(own_home, [ProcessSpec(name="missing", command=("/nonexistent/program",))])
    assert not stop_background(own_home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_right_after_the_start_of_the_supervisor_stops_it(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Nobody else knows its pid yet: it would go on for ever."""
    pids: list[int] = []

    def spawned(*arguments: Any, **more: Any) -> int:
        pids.append(spawn(*arguments, **more))
        signal.raise_signal(number)
        return pids[0]

    spawn = daemons.spawn
    monkeypatch.setattr(daemons, "spawn", spawned)
    with pytest.raises(KeyboardInterrupt), interrupted_once():
        start_background(own_home, [spec("polite", POLITE)])
    assert gone(*pids)
    assert not stop_background(own_home)
    assert not list((own_home / "run").glob("spec*"))


def test_servers_without_a_supervisor_are_stopped_too(own_home: Path) -> None:
    """What a killed supervisor left is found by `down`."""
    start_servers(own_home, needs={Server.REDIS})
    assert stop_background(own_home)
    assert server_status(own_home)[1].state == "stopped"
