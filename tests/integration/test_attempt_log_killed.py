"""The log of a process that is killed, and of one that forks: real processes, and the ledger."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord.ledger.connection import Connections
from batchord.ledger.logs import LogTable
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
RUN = "01970000-0000-7000-8000-000000000001"
OPENED = f"""
import logging, os, sys, threading, time
from batchord.ledger.connection import Connections
from batchord.ledger.logs import LogTable
from batchord.core.run.logs import AttemptName
from batchord.flow.attempt.log import attempt_log, install
install()
name = AttemptName("{RUN}", "score", 3, 1)
connections = Connections(sys.argv[1])
opened = attempt_log(LogTable(connections), name, worker="host:1", limit_bytes=1_000_000, mask=str, flush_seconds=0.2)
"""
#: Prints without end: a number and the time.
TALKS = """
pause = threading.Event()
with opened:
    for number in range(1_000_000):
        print(number, time.time(), flush=True)
        pause.wait(0.005)
"""
FORKS = """
with opened:
    print("parent before", flush=True)
    child = os.fork()
    if child == 0:
        print("child", flush=True)
        logging.getLogger("child").warning("logged by the child")
        raise SystemExit(0)  # through the block's end
    os.waitpid(child, 0)
    print("parent after")
connections.close()
"""


@pytest.fixture
def store(database_url: str) -> Iterator[LogTable]:
    """The log of this test's ledger."""
    connections = Connections(database_url)
    yield LogTable(connections)
    connections.close()


def started(code: str, database_url: str) -> "subprocess.Popen[str]":
    """A process that runs ``code`` after what opens a log."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", OPENED + code, database_url],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def kept(store: LogTable) -> list[str]:
    """The messages that are in the ledger."""
    return [line.message for part in store.read(RUN) for line in part.lines]


def test_a_killed_process_loses_at_most_its_last_second(store: LogTable, database_url: str) -> None:
    """What it printed before is in the ledger: no line is missing in between."""
    process = started(TALKS, database_url)
    try:
        wait_until(lambda: len(list(store.read(RUN))) >= 4, description="some parts are in the ledger")
    finally:
        process.kill()
    printed = process.communicate()[0].splitlines(keepends=True)

    said = [line.rstrip("\n") for line in printed if line.endswith("\n")]
    messages = kept(store)
    assert messages == said[: len(messages)]
    assert float(said[-1].split()[1]) - float(messages[-1].split()[1]) < 1


def test_a_forked_child_writes_nothing_into_its_parents_log(store: LogTable, database_url: str) -> None:
    """No thread would write it; and nothing of its parent's is there twice."""
    process = started(FORKS, database_url)
    printed = process.communicate(timeout=60)[0]

    assert process.returncode == 0
    assert printed.splitlines() == ["parent before", "child", "parent after"]
    assert kept(store) == ["parent before", "parent after"]
