"""Celery's processes as forks of one that has imported what they import."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.localstack import CELERY_ENVIRONMENT, Backoff, ForkServer, ProcessSpec, Supervisor
from tests.acceptance.cluster import CELERY, READ_LATER
from tests.integration.stack_processes import log
from tests.waiting import wait_until

_CONTROL = (*CELERY, "worker", "-Q", "control", "-P", "threads", "-n", "control@%h", "--without-mingle")


@pytest.fixture
def environment(settings_env: dict[str, str]) -> dict[str, str]:
    """Of a process of this test."""
    return {**os.environ, **CELERY_ENVIRONMENT, **settings_env}


@pytest.fixture
def own_fork_server(settings_env: dict[str, str]) -> Iterator[ForkServer]:
    """One that the test may kill."""
    environment = {**CELERY_ENVIRONMENT, "OMP_NUM_THREADS": settings_env["OMP_NUM_THREADS"]}
    with ForkServer(CELERY, environment=environment, read_later=READ_LATER) as started:
        yield started


def test_a_fork_runs_a_command_to_its_end(fork_server: ForkServer, environment: dict[str, str], tmp_path: Path) -> None:
    """Its output is in its log, and its exit code is known."""
    file = tmp_path / "worker.log"
    for argument, code, output in (("--help", 0, "Start worker instance"), ("--wrong", 2, "No such option")):
        fork = fork_server.fork((*CELERY, "worker", argument), environment=environment, log=str(file))
        assert fork is not None
        assert fork.wait() == code
        assert output in file.read_text()


def test_a_fork_is_a_process_of_its_own(fork_server: ForkServer, environment: dict[str, str], tmp_path: Path) -> None:
    """With its own session, environment and title; a signal that ends it is its exit code."""
    file = tmp_path / "control.log"
    fork = fork_server.fork(_CONTROL, environment=environment, log=str(file))
    assert fork is not None
    wait_until(lambda: " ready." in file.read_text(), description="the worker is ready", timeout=60)
    assert fork.poll() is None
    assert os.getsid(fork.pid) == fork.pid
    title = " ".join(psutil.Process(fork.pid).cmdline())
    assert title.startswith("batchord ")
    assert "celeryd: control@" in title
    fork.send_signal(signal.SIGKILL)
    assert fork.wait() == -signal.SIGKILL


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "LD_PRELOAD", "OMP_NUM_THREADS", "REMAP_SIGTERM"])
def test_what_may_be_read_by_an_import_needs_a_program_of_its_own(
    fork_server: ForkServer, environment: dict[str, str], tmp_path: Path, name: str
) -> None:
    """A fork would go on with what the fork server was started with."""
    changed = {**environment, name: "7"}
    assert fork_server.fork((*CELERY, "worker", "--help"), environment=changed, log=str(tmp_path / "log")) is None


def test_another_program_is_no_fork(fork_server: ForkServer, environment: dict[str, str], tmp_path: Path) -> None:
    """Only Celery's commands are."""
    assert fork_server.fork(("sleep", "1"), environment=environment, log=str(tmp_path / "log")) is None


def test_processes_go_on_without_their_fork_server(
    own_fork_server: ForkServer,
    settings_env: dict[str, str],
    own_home: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When it is killed its forks stay; one that ends later is started again as a program of its own."""
    spec = ProcessSpec(name="control", command=_CONTROL, env=settings_env | CELERY_ENVIRONMENT)
    quick = Backoff(first=0.05, ceiling=0.2, calm=0.5)
    with Supervisor([spec], own_home, backoff=quick, fork_server=own_fork_server) as supervisor:
        wait_until(lambda: " ready." in log(own_home, "control"), description="the fork is ready", timeout=60)
        (fork,) = supervisor.status()
        assert fork.pid is not None
        server = psutil.Process(fork.pid).parent()
        assert server is not None
        assert ": forks Celery" in " ".join(server.cmdline())
        server.kill()
        wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, description="it ends")
        assert supervisor.status()[0].pid == fork.pid
        supervisor.kill("control")
        wait_until(
            lambda: log(own_home, "control").count(" ready.") == 2, description="a program takes its place", timeout=60
        )
        (program,) = supervisor.status()
        assert program.pid is not None
        assert psutil.Process(program.pid).ppid() == os.getpid()
    assert "The process that forks Celery's processes has ended." in caplog.text
    assert "ended with an exit code that nobody saw" in caplog.text
