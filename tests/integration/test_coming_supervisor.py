"""A supervisor that is started before it is known what it is to run, and that shares its memory with its processes."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.localstack import (
    CELERY_COMMAND,
    CELERY_ENVIRONMENT,
    ProcessSpec,
    background_status,
    coming_supervisor,
    start_background,
    stop_background,
)
from batchord.core.errors import ConfigurationError
from tests.integration.stack_processes import POLITE, gone, log, ready, spec
from tests.waiting import wait_until

_CONTROL = (*CELERY_COMMAND, "worker", "-Q", "control", "-P", "threads", "-n", "control@%h", "--without-mingle")
_STARTER = """
import sys, time
from pathlib import Path
from app.localstack import coming_supervisor

with coming_supervisor(Path(sys.argv[1])) as supervisor:
    print(supervisor.daemon.pid, flush=True)
    time.sleep(600)
"""


def test_what_it_runs_is_told_later(own_home: Path) -> None:
    """It outlives the block; what it was told is in no file."""
    with coming_supervisor(own_home) as supervisor:
        assert background_status(own_home) == []
        pid = supervisor.run([spec("polite", POLITE)])
    ready(own_home, "polite", "ready")
    (status,) = background_status(own_home)
    assert status.pid is not None
    assert psutil.Process(status.pid).ppid() == pid
    assert stop_background(own_home)
    assert gone(pid, status.pid)


def test_it_ends_with_a_block_that_tells_it_nothing(own_home: Path) -> None:
    """For instance when the servers cannot be started."""
    pids = []

    def fail(pid: int) -> None:
        pids.append(pid)
        raise ConfigurationError("no such server")

    with pytest.raises(ConfigurationError, match="no such server"), coming_supervisor(own_home) as supervisor:
        fail(supervisor.daemon.pid if supervisor.daemon else 0)
    assert gone(*pids)
    assert not stop_background(own_home)


def test_it_ends_with_a_starter_that_is_killed(own_home: Path) -> None:
    """Nobody could tell it any more what to run."""
    with subprocess.Popen([sys.executable, "-c", _STARTER, str(own_home)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    wait_until(lambda: gone(pid), description="the supervisor ends", timeout=60)
    assert not stop_background(own_home)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pidfds, without which nothing is forked")
def test_its_fork_server_is_a_fork_of_it(own_home: Path, settings_env: dict[str, str]) -> None:
    """So it shares what it imported. Both may die alone: killed, the fork server leaves supervisor and worker."""
    batchords = {name: value for name, value in settings_env.items() if name.startswith("BATCHORD_")}
    control = ProcessSpec(name="control", command=_CONTROL, env=batchords | CELERY_ENVIRONMENT, patience=5.0)
    pid = start_background(own_home, [control])
    try:
        wait_until(lambda: " ready." in log(own_home, "control"), description="the fork is ready", timeout=60)
        (fork,) = background_status(own_home)
        assert fork.pid is not None
        server = psutil.Process(fork.pid).parent()
        assert server is not None
        assert ": forks Celery" in " ".join(server.cmdline())
        assert server.ppid() == pid
        assert ": supervisor of " in " ".join(psutil.Process(pid).cmdline())
        server.kill()
        wait_until(lambda: gone(server.pid), description="the fork server ends")
        psutil.Process(fork.pid).kill()
        wait_until(
            lambda: log(own_home, "control").count(" ready.") == 2, description="a program takes its place", timeout=60
        )
        (program,) = background_status(own_home)
        assert program.pid is not None
        assert psutil.Process(program.pid).ppid() == pid
    finally:
        stop_background(own_home)
    assert gone(pid, program.pid)
