"""The supervisor: what it started is started again when it ends, and ends when the supervisor does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.adapters.stack import (
    Backoff,
    ProcessSpec,
    ProcessState,
    ProcessStatus,
    Server,
    Supervisor,
    background_status,
    server_status,
    start_background,
    start_servers,
    stop_background,
)
from app.core.errors import ConfigurationError
from tests.waiting import wait_until

QUICK = Backoff(first=0.05, ceiling=0.2, calm=0.5)
#: Says that it runs, and ends politely.
POLITE = "import signal; print('ready', flush=True); signal.sigwait([signal.SIGTERM])"
#: Ignores every polite signal, and so does its child, which it tells of.
STUBBORN = """
import signal, subprocess, sys, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""
#: A program with a supervisor inside, as `batchord demo` is.
PROGRAM = """
import sys, threading
from pathlib import Path
from app.adapters.stack import ProcessSpec, Supervisor
specs = [ProcessSpec(name=name, command=(sys.executable, "-c", sys.argv[2])) for name in ("one", "two")]
with Supervisor(specs, Path(sys.argv[1]), patience=float(sys.argv[3])):
    print("up", flush=True)
    threading.Event().wait()
"""


def spec(name: str, code: str) -> ProcessSpec:
    """A process that runs a few lines of Python."""
    return ProcessSpec(name=name, command=(sys.executable, "-c", code))


def log(home: Path, name: str) -> str:
    """What the process has printed so far."""
    path = home / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


def ready(home: Path, name: str, word: str) -> None:
    """Wait until the process has printed the word."""
    wait_until(lambda: word in log(home, name), description=f"{name} prints {word!r}")


def one(statuses: list[ProcessStatus], name: str) -> ProcessStatus:
    """The status of that name."""
    return next(status for status in statuses if status.name == name)


def child_of(home: Path, name: str) -> int:
    """The pid that a stubborn process told of."""
    return int(log(home, name).split("child ")[1].split()[0])


def gone(*pids: int) -> bool:
    """Whether none of the processes runs."""
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def running(statuses: list[ProcessStatus]) -> list[int]:
    """The pids of what runs."""
    return [status.pid for status in statuses if status.pid is not None]


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


def test_processes_run_with_their_environment_and_log(own_home: Path) -> None:
    """Output and errors go to the process's log; its environment is the supervisor's and its own."""
    echo = ProcessSpec(
        name="echo",
        command=(sys.executable, "-c", "import os, sys; print(os.environ['WORD'], file=sys.stderr);" + POLITE),
        env={"WORD": "spoken"},
    )
    with Supervisor([echo], own_home) as supervisor:
        ready(own_home, "echo", "ready")
        (status,) = supervisor.status()
        assert (status.state, status.restarts) == (ProcessState.RUNNING, 0)
        assert status.pid is not None
        assert os.getpgid(status.pid) == status.pid
    assert log(own_home, "echo").split() == ["spoken", "ready"]
    assert [status.state for status in supervisor.status()] == [ProcessState.STOPPED]


def test_a_process_that_ends_is_started_again(own_home: Path) -> None:
    """One killed process comes back with a new pid, the other stays; the pause grows with every end."""
    with Supervisor([spec("a", POLITE), spec("b", POLITE)], own_home, backoff=QUICK) as supervisor:
        before = supervisor.status()
        supervisor.kill("a")
        again = wait_until(
            lambda: [s for s in supervisor.status() if s.name == "a" and s.restarts == 1 and s.pid],
            description="a runs again",
        )
        assert again[0].pid != one(before, "a").pid
        assert one(supervisor.status(), "b").pid == one(before, "b").pid
        with pytest.raises(ConfigurationError, match="a, b"):
            supervisor.kill("c")


def test_the_pause_doubles_up_to_its_ceiling() -> None:
    """Half a second at first, ten at most, also after weeks."""
    assert [Backoff().pause(failures) for failures in (1, 2, 3, 5, 6, 100_000)] == [0.5, 1.0, 2.0, 8.0, 10.0, 10.0]


def test_a_process_that_was_well_begins_with_the_first_pause(own_home: Path) -> None:
    """Ends long ago do not count against a process that has been running since."""
    short = spec("short", "pass")
    with Supervisor([short], own_home, backoff=Backoff(first=0.01, ceiling=60.0, calm=0.0)) as supervisor:
        # Each end after the calm time counts as the first one, so the pauses stay at 0.01 s and not 0.01 * 2**8.
        wait_until(lambda: supervisor.status()[0].restarts >= 8, description="eight restarts", timeout=20.0)


def test_the_rest_of_a_group_goes_with_its_leader(own_home: Path) -> None:
    """Children of a killed process do not go on beside those of its successor."""
    with Supervisor([spec("pool", STUBBORN)], own_home, backoff=QUICK, patience=0.1) as supervisor:
        ready(own_home, "pool", "child")
        child = child_of(own_home, "pool")
        supervisor.kill("pool")
        wait_until(lambda: gone(child), description="the child is gone too")


def test_stop_is_in_reverse_order_and_kills_what_does_not_listen(own_home: Path) -> None:
    """SIGTERM first; after the patience the whole group is killed."""
    with Supervisor([spec("stubborn", STUBBORN), spec("polite", POLITE)], own_home, patience=0.2) as supervisor:
        ready(own_home, "stubborn", "child")
        ready(own_home, "polite", "ready")
        pids = [*running(supervisor.status()), child_of(own_home, "stubborn")]
    assert gone(*pids)


def test_a_command_that_does_not_exist_stops_what_was_started(own_home: Path) -> None:
    """All or nothing: the first process is stopped when the second cannot start."""
    missing = ProcessSpec(name="missing", command=("/nonexistent/program",))
    supervisor = Supervisor([spec("polite", POLITE), missing], own_home)
    with pytest.raises(ConfigurationError, match="missing"):
        supervisor.start()
    assert not running(supervisor.status())


def test_one_supervisor_per_home(own_home: Path) -> None:
    """A second one is refused and says what to do; after the first one's end it may run."""
    with Supervisor([], own_home), pytest.raises(ConfigurationError, match="batchord down"):
        Supervisor([], own_home).start()
    with Supervisor([spec("polite", POLITE)], own_home) as supervisor:
        assert running(supervisor.status())


def test_a_server_that_dies_is_started_again(own_home: Path) -> None:
    """Valkey killed under the supervisor answers again at its old address."""
    with Supervisor([], own_home, servers=[Server.REDIS]):
        before = server_status(own_home)[1]
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        wait_until(
            lambda: (now := server_status(own_home)[1]).state == "running" and now.pid != before.pid,
            description="Valkey runs again",
        )
        assert server_status(own_home)[1].address == before.address
    assert server_status(own_home)[1].state == "stopped"


def test_ctrl_c_stops_everything(own_home: Path, program: Program) -> None:
    """Processes are gone when the program is."""
    process = program.start(POLITE, 10.0)
    pids = running(background_status(own_home))
    assert len(pids) == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) != 0
    assert gone(*pids)


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
    with pytest.raises(ConfigurationError, match="runs already"):
        start_background(own_home, [])
    assert stop_background(own_home)
    assert gone(pid, status.pid)
    assert server_status(own_home)[1].state == "stopped"
    assert not stop_background(own_home)


def test_a_background_stack_that_cannot_start_says_why(own_home: Path) -> None:
    """The reason is in the error, not only in a log, and nothing is left running."""
    with pytest.raises(ConfigurationError, match=r"missing.*nonexistent"):
        start_background(own_home, [ProcessSpec(name="missing", command=("/nonexistent/program",))])
    assert not stop_background(own_home)


def test_servers_without_a_supervisor_are_stopped_too(own_home: Path) -> None:
    """What a killed supervisor left is found by `down`."""
    start_servers(own_home, needs={Server.REDIS})
    assert stop_background(own_home)
    assert server_status(own_home)[1].state == "stopped"
