"""The supervisor inside a program: what ends is started again, and everything stops with it."""

import os
import signal
import sys
from pathlib import Path

import pytest

from app.localstack import Backoff, ProcessSpec, ProcessState, Server, Supervisor, server_status
from batchord.core.errors import ConfigurationError
from tests.integration.stack_processes import POLITE, STUBBORN, child_of, gone, log, one, ready, running, spec
from tests.waiting import wait_until

QUICK = Backoff(first=0.05, ceiling=0.2, calm=0.5)


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
    with Supervisor([spec("pool", STUBBORN, patience=0.1)], own_home, backoff=QUICK) as supervisor:
        ready(own_home, "pool", "child")
        child = child_of(own_home, "pool")
        supervisor.kill("pool")
        wait_until(lambda: gone(child), description="the child is gone too")


def test_stop_is_in_reverse_order_and_kills_what_does_not_listen(own_home: Path) -> None:
    """SIGTERM first; after the patience the whole group is killed."""
    specs = [spec("stubborn", STUBBORN, patience=0.2), spec("polite", POLITE, patience=0.2)]
    with Supervisor(specs, own_home) as supervisor:
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
