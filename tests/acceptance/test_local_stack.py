"""``batchord up``, ``status`` and ``down`` in a home of their own; nothing is left when it is over."""

import json
import signal
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.localstack import stop_background
from app.localstack.claims import claim_port
from app.localstack.home import write_private
from tests.acceptance.own_stack import OwnStack
from tests.hostile_folder import make_hostile, run_there
from tests.waiting import wait_until

_PIPELINE = """
    from batchord import Pipeline, SqlSource

    def double(frame):
        return frame["number"] * 2

    numbers = Pipeline(
        "numbers",
        source=SqlSource("SELECT id, id * 10 AS number FROM generate_series(1, 20) AS id", key="id"),
        model=double,
    )
"""


@pytest.fixture
def stack(own_home: Path, tmp_path: Path) -> Iterator[OwnStack]:
    """A home without servers, and one small pipeline; whatever the test leaves is stopped."""
    (tmp_path / "numbers.py").write_text(textwrap.dedent(_PIPELINE))
    hostile = make_hostile(tmp_path.with_name(f"{tmp_path.name}-hostile"))
    yield OwnStack(own_home, tmp_path, folder=hostile)
    stop_background(own_home)
    assert run_there(hostile) == "", "of the working directory nothing is executed"


def test_up_runs_everything_and_down_leaves_only_data(stack: OwnStack) -> None:
    """A run goes through the stack of ``up``; after ``down`` no process is left, and the next ``up`` knows the run.

    Over 30 seconds: a whole stack is started and stopped twice.
    """
    # Where Flower was the time before: no stack of another test, which would like the usual port, takes this one.
    (stack.home / "run").mkdir()
    with closing(claim_port()) as claim:
        write_private(stack.home / "run" / "flower", f"http://127.0.0.1:{claim.port}")
    up = stack.batchord("up")
    assert (up.returncode, up.stderr) == (0, "")
    assert f"Flower: http://127.0.0.1:{claim.port}" in up.stdout
    status = stack.batchord("status", "--json")
    said = json.loads(status.stdout)
    assert (status.returncode, said["well"]) == (0, True)
    assert {each["name"] for each in said["servers"]} == {"postgres", "redis", "s3"}
    assert {each["name"] for each in said["processes"]} == {"control", "worker", "beat", "flower"}
    assert {each["state"] for each in [*said["servers"], *said["processes"]]} == {"running"}
    login = json.loads(stack.batchord("status", "--json", "--password").stdout)
    assert f"user name is {login['flower_user']}, its password {login['flower_password']}" in stack.batchord(
        "status", "--password"
    ).stdout.replace("Flower's ", "")
    run = json.loads(stack.batchord("run", "numbers", "--wait", "--json").stdout)
    assert (run["state"], run["predicted"]) == ("succeeded", 20)

    again = stack.batchord("up")
    assert again.returncode == 1
    assert "is already running" in again.stderr
    assert "batchord down" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    assert stack.batchord("status").returncode == 0, "the refused one disturbed nothing"

    down = stack.batchord("down")
    assert (down.returncode, down.stdout, down.stderr) == (0, "Stopped.\n", "")
    assert stack.processes() == []
    stopped = stack.batchord("status", "--json")
    assert stopped.returncode == 1
    assert json.loads(stopped.stdout)["well"] is False
    assert {each["state"] for each in json.loads(stopped.stdout)["processes"]} == {"stopped"}
    assert json.loads(stack.batchord("down", "--json").stdout) == {"stopped": False, "held": False}

    _assert_data_survived(stack, flower=said["flower"])
    assert json.loads(stack.batchord("down", "--json").stdout) == {"stopped": True, "held": False}
    assert stack.processes() == []


def _assert_data_survived(stack: OwnStack, *, flower: str) -> None:
    """``down`` and ``up`` keep all runs and predictions, and Flower keeps its address."""
    again = json.loads(stack.batchord("up", "--json").stdout)
    assert (again["well"], again["flower"]) == (True, flower)
    (run,) = json.loads(stack.batchord("runs", "--json").stdout)
    assert run["predicted"] == 20
    assert json.loads(stack.batchord("audit", "--json").stdout)["numbers"]["missing"] == 0


def _servers_start(home: Path) -> bool:
    return (home / "logs" / "redis.log").exists()


def _ledger_is_migrated(home: Path) -> bool:
    return (home / "run" / "flower").exists()


def _workers_start(home: Path) -> bool:
    return (home / "run" / "processes.json").exists()


@pytest.mark.parametrize("moment", [_servers_start, _ledger_is_migrated, _workers_start])
def test_ctrl_c_during_up_leaves_nothing(stack: OwnStack, moment: Callable[[Path], bool]) -> None:
    """Whenever it comes, before "Flower: …" is printed: all that was started is stopped, without a traceback."""
    up = stack.start("up")
    wait_until(lambda: moment(stack.home), description="up has come so far", timeout=120, interval=0.01)
    up.send_signal(signal.SIGINT)
    _, said = up.communicate(timeout=120)
    assert up.returncode != 0
    assert "Traceback" not in said
    wait_until(lambda: not stack.processes(), description="no process is left", timeout=5)
