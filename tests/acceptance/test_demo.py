"""``make demo`` as a newcomer runs it: real texts and photos, real weights, and nothing left behind."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.localstack import stop_servers
from demo.models import RECIPES
from tests.acceptance.own_stack import OwnStack
from tests.waiting import wait_until

_ROOT = Path(__file__).parents[2]
#: The demo takes a minute or two on two cores, and several times that on busy ones.
_PATIENCE = 900
_BUILD = """
import sys
from pathlib import Path
from demo import pictures, topics
from demo.models import build_models

topics._PER_TOPIC, topics._EPOCHS, topics.HELD_OUT = 2, 1, 8
pictures._CUT_OUTS = 12
build_models(Path(sys.argv[1]), print)
"""
#: How many records of each pipeline arrive at first. Photo 260 is the last that no model can predict.
_ROWS = {"reviews": 5_400, "news": 200, "photos": 270}
#: ``python -m demo`` with so many records.
_DEMO = f"""
import runpy
from functools import partial
from demo import load

for name, rows in {_ROWS!r}.items():
    setattr(load, f"insert_{{name}}", partial(getattr(load, f"insert_{{name}}"), rows=rows))
runpy.run_module("demo", run_name="__main__", alter_sys=True)
"""

#: One group: the models are built once.
pytestmark = [pytest.mark.timeout(2000), pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="session")
def built_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's models: those of this checkout's last demo, else built here, trained for a moment only."""
    folder = tmp_path_factory.mktemp("demo-models")
    finished = _ROOT / ".batchord" / "demo" / "models"
    if all((finished / f"{recipe.NAME}.json").exists() for recipe in RECIPES):
        shutil.copytree(finished, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    # In a process of its own: training takes memory that this one would keep.
    subprocess.run([sys.executable, "-c", _BUILD, str(folder)], cwd=_ROOT, check=True)
    return folder


@pytest.fixture
def newcomer(own_home: Path) -> Iterator[OwnStack]:
    """Somebody in a folder without ``.batchord``; the pipelines' paths are relative to it."""
    home = own_home / ".batchord"
    stack = OwnStack(home, _ROOT / "pipelines", folder=own_home, command=(sys.executable, "-c", _DEMO))
    stack.environment["PYTHONPATH"] = str(_ROOT)  # as in the repository, which `make demo` is called in
    yield stack
    stop_servers(home)


def test_the_demo_shows_every_record_accounted_for(newcomer: OwnStack, built_models: Path) -> None:
    """5,870 records and 45 fresh ones: each predicted once, but for a broken and a missing photo.

    Over 30 seconds: each of two worker processes loads torch and three models. A transformer takes most of a minute
    for all 1,200 stories, so here are 200.
    """
    _place(built_models, newcomer)

    ended = newcomer.batchord("--json", timeout=_PATIENCE)

    assert (ended.returncode, ended.stderr) == (0, "")
    said = json.loads(ended.stdout)
    assert said["clean"]
    assert [(row["pipeline"], row["records"], row["fresh"], row["fresh_discovered"]) for row in said["pipelines"]] == [
        ("reviews", 5_425, 25, 25),
        ("news", 210, 10, 10),
        ("photos", 280, 10, 10),
    ]
    assert [row["rejections"] for row in said["pipelines"]] == [{}, {}, {"corrupt-image": 1, "missing-object": 1}]
    for row in said["pipelines"]:
        assert row["predicted"] + row["rejected"] == row["records"]
        assert sum(row["labels"].values()) == row["predicted"]
        assert said["audit"][row["pipeline"]] == {
            "records": row["records"],
            "predicted": row["predicted"],
            "rejected": row["rejected"],
            "pending": 0,
            "missing": 0,
            "duplicated": 0,
            "not_audited": {},
        }
    assert newcomer.processes() == []


def _builds_models(newcomer: OwnStack) -> bool:
    return any((newcomer.home / "demo" / "models").glob(".*"))


def _servers_start(newcomer: OwnStack) -> bool:
    return (newcomer.home / "logs" / "redis.log").exists()


#: PostgreSQL is still starting, or the ledger is being made.
_NOT_YET = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InsufficientPrivilege,
)


def _predicts(newcomer: OwnStack) -> bool:
    """Whether a batch is committed, and a run still at work."""
    addresses = newcomer.home / "servers.json"
    if not addresses.exists():
        return False
    try:
        with psycopg.connect(json.loads(addresses.read_text())["database_url"]) as connection:
            return bool(
                connection.execute(
                    "SELECT EXISTS (SELECT FROM batchord.predictions) "
                    "AND EXISTS (SELECT FROM batchord.runs WHERE state = 'running')"
                ).fetchone()
                == (True,)
            )
    except (psycopg.OperationalError, *_NOT_YET):
        return False


@pytest.mark.parametrize("moment", [_builds_models, _servers_start, _predicts])
def test_ctrl_c_leaves_no_process(newcomer: OwnStack, built_models: Path, moment: Callable[[OwnStack], bool]) -> None:
    """Whenever it comes, the demo stops what it started, says so and exits with 130.

    A minute where it comes late: until a batch is committed the whole stack has been started and filled.
    """
    if moment is not _builds_models:
        _place(built_models, newcomer)
    demo = newcomer.start()
    wait_until(lambda: moment(newcomer), description="the demo has come so far", timeout=_PATIENCE, interval=0.02)

    demo.send_signal(signal.SIGINT)
    said, error = demo.communicate(timeout=_PATIENCE)

    assert (demo.returncode, error) == (130, "")
    assert "Interrupted; every process that the demo started is stopped." in said
    assert newcomer.processes() == []
    assert not list((newcomer.home / "demo" / "models").glob(".*")), "no half-built model is left"


def _place(models: Path, newcomer: OwnStack) -> None:
    shutil.copytree(models, newcomer.home / "demo" / "models")
