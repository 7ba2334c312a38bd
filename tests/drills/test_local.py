"""Drills of ``batchord run --local``: its process is killed, stopped or interrupted in mid-run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.drills.drill import Drill
from tests.drills.gate import Gate
from tests.waiting import wait_until

_COMMAND = (sys.executable, "-c", "from batchord.app.cli import main; main()", "run", "notes", "--local")


@pytest.fixture
def gate(drill: Drill) -> Gate:
    """Leases are so long that a run that waits for one fails."""
    drill.cluster.environment["BATCHORD_LEASE_SECONDS"] = "600"
    return Gate(drill)


@contextmanager
def _local_run(drill: Drill) -> Iterator["subprocess.Popen[str]"]:
    """A local run in a process of its own. It is killed at the end."""
    environment = {**os.environ, **drill.cluster.environment}
    with subprocess.Popen(_COMMAND, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        try:
            yield run
        finally:
            run.kill()


def test_a_local_run_that_is_killed_is_taken_over_at_once(drill: Drill, gate: Gate) -> None:
    """By the next one on this machine. What was written stays, and nothing is written twice."""
    with _local_run(drill) as killed:
        gate.wait_until_reached()
        drill.injected()
        killed.kill()
        killed.wait()
    gate.open()

    assert "succeeded" in drill.cluster.batchord("run", "notes", "--local").stdout

    drill.settle()
    assert drill.cluster.sql("SELECT cause FROM batchord.attempts WHERE state = 'lost'") == [("ended",)]
    drill.check(runs=("succeeded",) * 2)


def test_a_local_run_that_stands_still_is_not_taken_over(drill: Drill, gate: Gate) -> None:
    """It may go on at any time: the next one waits, and its own work goes on where it stood."""
    with _local_run(drill) as stopped:
        gate.wait_until_reached()
        drill.injected()
        stopped.send_signal(signal.SIGSTOP)
        token = _token(drill)
        with _local_run(drill) as waiting:
            assert any("waits for an earlier run" in line for line in waiting.stderr or ())
            assert _token(drill) == token
            gate.open()
            stopped.send_signal(signal.SIGCONT)
            assert [stopped.wait(60), waiting.wait(60)] == [0, 0]

    drill.settle()
    assert drill.cluster.sql("SELECT count(*) FROM batchord.attempts WHERE state = 'lost'") == [(0,)]
    drill.check(runs=("succeeded",) * 2)


def test_ctrl_c_in_a_local_run_says_how_to_go_on(drill: Drill, gate: Gate) -> None:
    """Its work is free at once, without a loss, and the command that it names continues it."""
    with _local_run(drill) as interrupted:
        gate.wait_until_reached()
        drill.injected()
        interrupted.send_signal(signal.SIGINT)
        _, said = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert "`batchord run notes --local` continues it at once" in said
    assert "Traceback" not in said
    assert "of 400 records" in said
    gate.open()

    drill.cluster.batchord("run", "notes", "--local")

    drill.settle()
    assert drill.cluster.sql("SELECT sum(losses) FROM batchord.shards") == [(0,)]
    drill.check(runs=("succeeded",) * 2)


def _token(drill: Drill) -> str:
    """The token of the shard at the gate."""
    ((token,),) = wait_until(
        lambda: drill.cluster.sql("SELECT lease_token::text FROM batchord.shards WHERE lease_token IS NOT NULL"),
        description="a shard is at work",
    )
    return str(token)
