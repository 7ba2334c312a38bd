"""Names of processes that work by themselves: another process on the machine sees by them who has ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from batchord.processes import local_names
from batchord.processes.local_names import has_ended, local_name, plain_name
from tests.waiting import wait_until

_NAMED = "from batchord.processes.local_names import local_name; print(local_name(), flush=True); input()"


@contextmanager
def _named() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process and its name. It is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", _NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_process_that_runs_has_not_ended() -> None:
    """People see only its host and its pid."""
    assert not has_ended(local_name())
    assert plain_name(local_name()).endswith(f":{os.getpid()}")
    assert "@" not in plain_name(local_name())


def test_a_killed_process_has_ended_even_if_nobody_fetches_its_exit_code() -> None:
    """It is a zombie until then."""
    with _named() as (process, name):
        assert not has_ended(name)
        process.kill()
        wait_until(lambda: has_ended(name), description="the zombie counts as ended")
        assert psutil.pid_exists(process.pid)
        process.wait()
        assert has_ended(name)


def test_a_stopped_process_has_not_ended() -> None:
    """It may continue at any time."""
    with _named() as (process, name):
        process.send_signal(signal.SIGSTOP)
        one = psutil.Process(process.pid)
        wait_until(lambda: one.status() == psutil.STATUS_STOPPED, description="the process stands still")
        assert not has_ended(name)


def test_another_process_with_the_same_pid_does_not_count() -> None:
    """The pid was given again: this process has it now, and began at another time."""
    name, _, birth = local_name().rpartition(".")

    assert has_ended(f"{name}.{int(birth) - 1}")


def test_nothing_is_known_of_a_process_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine, another container, or Celery's own processes: their pids say nothing here."""
    with _named() as (process, name):
        process.kill()
        process.wait()
        monkeypatch.setattr(local_names, "_place", lambda: "00000000")
        assert not has_ended(name)
        monkeypatch.undo()
        assert not has_ended(f"other-{name}")
        assert not has_ended(plain_name(name))
        assert has_ended(name)


def test_a_process_that_is_hidden_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system may hide the processes of other users in /proc."""
    monkeypatch.setattr(local_names, "life", lambda _: (None, False))
    with _named() as (process, name):
        assert not has_ended(name)
        process.kill()
        process.wait()
        assert has_ended(name)
