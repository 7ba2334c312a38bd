"""What a new user does first: a pipeline file, and commands. Nothing is configured, and no stack runs."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.localstack import stop_background
from app.localstack.holders import hold
from tests.acceptance.own_stack import OwnStack
from tests.waiting import wait_until

_PIPELINE = """
    from batchord import FunctionModel, Pipeline, SqlSource

    def mood(frame):
        return frame["body"].str.contains("fine").map({True: "pleased", False: "not pleased"})

    reviews = Pipeline(
        "reviews",
        source=SqlSource(
            "SELECT * FROM (VALUES (1, 'A fine film'), (2, 'Two hours'), (3, NULL)) AS given (id, body)", key="id"
        ),
        model=FunctionModel(mood, text="body"),
    )
"""


@pytest.fixture
def shell(own_home: Path, tmp_path: Path) -> Iterator[OwnStack]:
    """A shell in a folder with one pipeline file; whatever the test leaves is stopped."""
    (tmp_path / "reviews.py").write_text(textwrap.dedent(_PIPELINE))
    yield OwnStack(own_home, tmp_path)
    stop_background(own_home)


def _json(shell: OwnStack, *command: str) -> Any:
    """What the command prints, which has nothing else to say."""
    ended = shell.batchord(*command, "--json")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    return json.loads(ended.stdout)


def test_a_first_run_needs_no_server_of_the_user(shell: OwnStack) -> None:
    """The first command starts PostgreSQL and says so in one line; the others use it, as a stack does later.

    Over 30 seconds on a busy machine: each command is a process of its own, and a whole stack starts.
    """
    first = shell.batchord("run", "reviews", "--local")
    assert first.returncode == 0
    assert "discovered 3 = predicted 2 + rejected 1" in first.stdout
    (line,) = first.stderr.splitlines()
    assert line.startswith(f"PostgreSQL was started in {shell.home} (")

    with hold(shell.home):  # as a command does that still works: on a busy machine, the next one may come late
        (run,) = _json(shell, "runs")
        status = shell.batchord("status")
    assert status.returncode == 1
    assert "A command started PostgreSQL" in status.stdout

    assert shell.batchord("up").returncode == 0
    assert _json(shell, "runs") == [run]
    assert shell.batchord("down").stdout == "Stopped.\n"
    assert shell.processes() == []


def test_after_the_last_command_nothing_is_left(shell: OwnStack) -> None:
    """PostgreSQL waits ten seconds for the next command, and ends."""
    assert shell.batchord("plan", "reviews").returncode == 0
    assert len(shell.processes()) > 1
    wait_until(lambda: not shell.processes(), description="no process is left", timeout=60)


def test_a_wrong_name_starts_no_server(shell: OwnStack) -> None:
    """The mistake is reported at once."""
    for command in (["plan", "views"], ["audit", "views"], ["run", "views", "--local"]):
        ended = shell.batchord(*command)
        assert ended.returncode == 1
        assert "There is no pipeline 'views'" in ended.stderr
    assert shell.processes() == []
    assert not (shell.home / "postgres").exists()
