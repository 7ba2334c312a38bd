"""Every command prints the right output for people and for programs, and reports errors in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cluster import Cluster
from tests.acceptance.own_stack import OwnStack

#: Libraries that are slow to import or that a machine without workers need not have.
_HEAVY = ("alembic", "boto3", "celery", "numpy", "pandas", "PIL", "psycopg", "sklearn", "sqlalchemy", "torch")
_RUN_FIELDS = {
    "id",
    "pipeline",
    "kind",
    "trigger",
    "slot",
    "state",
    "discovered",
    "predicted",
    "rejected",
    "created_at",
    "started_at",
    "finished_at",
}


@pytest.fixture
def ran(notes: Cluster) -> Cluster:
    """A run of ten records, one of them rejected, in this machine's ledger; no process is needed for it."""
    notes.insert_notes(9)
    notes.sql("INSERT INTO notes (body) VALUES (NULL)")
    notes.batchord("run", "notes", "--local")
    return notes


def _as_json(cluster: Cluster, *command: str, code: int = 0) -> Any:
    ended = cluster.batchord(*command, "--json", check=False)
    assert (ended.returncode, ended.stderr) == (code, "")
    return json.loads(ended.stdout)


def _as_text(cluster: Cluster, *command: str, code: int = 0) -> str:
    ended = cluster.batchord(*command, check=False)
    assert (ended.returncode, ended.stderr) == (code, "")
    assert "Traceback" not in ended.stdout
    assert "SecretStr" not in ended.stdout
    return ended.stdout


def test_commands_for_programs(ran: Cluster) -> None:
    """``--json`` of every command that reads or writes the ledger parses, and has the fields of the contract.

    Over 30 seconds on a busy machine, as the next: each command is a process of its own.
    """
    (run,) = _as_json(ran, "runs")
    assert set(run) >= _RUN_FIELDS
    assert (run["state"], run["discovered"], run["predicted"], run["rejected"]) == ("succeeded", 10, 9, 1)
    shown = _as_json(ran, "show", run["id"])
    assert {name: shown[name] for name in _RUN_FIELDS} == {name: run[name] for name in _RUN_FIELDS}
    assert shown["summary"]["pending"] == 0
    (rejection,) = _as_json(ran, "rejections", "--pipeline", "notes", "--run", run["id"])
    assert (rejection["key"], rejection["reason"]) == ("10", "not-finite")
    assert _as_json(ran, "rejections", "--reason", "missing-object") == []
    assert _as_json(ran, "runs", "--state", "failed") == []
    described = _as_json(ran, "pipelines")
    assert [each["name"] for each in described["pipelines"]] == ["notes"]
    (planned,) = _as_json(ran, "plan", "notes")
    assert planned["records"] == 0
    assert _as_json(ran, "audit", "notes") == {
        "notes": {
            "records": 10,
            "predicted": 9,
            "rejected": 1,
            "pending": 0,
            "missing": 0,
            "duplicated": 0,
            "not_audited": {},
        }
    }
    assert _as_json(ran, "migrate") == {"migrated": True, "remarks": []}
    again = _as_json(ran, "run", "notes", "--local")
    assert set(again) >= _RUN_FIELDS
    assert again["discovered"] == 0
    assert _as_json(ran, "down") == {"stopped": False, "held": False}
    status = _as_json(ran, "status", code=1)
    assert status["well"] is False


def test_commands_for_people(ran: Cluster) -> None:
    """The same output as tables. Each names its subject."""
    run_id = ran.runs("notes")[0]["id"]
    assert run_id[:8] in _as_text(ran, "runs")
    shown = _as_text(ran, "show", run_id[:13])
    assert run_id in shown
    assert "discovered 10 = predicted 9 + rejected 1" in shown
    assert "not-finite" in _as_text(ran, "rejections")
    assert "notes     by hand   -     predict  notes.py" in _as_text(ran, "pipelines")
    assert "notes" in _as_text(ran, "plan", "notes")
    assert "clean" in _as_text(ran, "audit")
    assert "up to date" in _as_text(ran, "migrate")
    assert "discovered 0" in _as_text(ran, "run", "notes", "--local")
    assert _as_text(ran, "down") == "The local stack was not running.\n"
    assert "The local stack is not running. Start it with `batchord up`." in _as_text(ran, "status", code=1)
    assert "No run matches." in _as_text(ran, "runs", "--pipeline", "other")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("run", "letters"), "Error: There is no pipeline 'letters' in"),
        (("plan", "letters"), "Error: There is no pipeline 'letters' in"),
        (("audit", "letters"), "Error: There is no pipeline 'letters' in"),
        (("show", "0123"), "Error: There is no run 0123. `batchord runs` lists the runs."),
        (("cancel", "0123"), "Error: There is no run 0123. `batchord runs` lists the runs."),
        (("rejections", "--run", "0123"), "Error: There is no run 0123. `batchord runs` lists the runs."),
    ],
)
def test_wrong_names_are_reported_in_one_line(notes: Cluster, command: tuple[str, ...], told: str) -> None:
    """Exit code 1, and one line with the wrong name and the existing names."""
    ended = notes.batchord(*command, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith(told)
    if "no pipeline" in told:
        assert ended.stderr.endswith("there are: notes.\n")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("runs", "`batchord run NAME --local`"),
        ("show 0123", "`batchord run NAME --local`"),
        ("rejections", "`batchord run NAME --local`"),
        ("logs 0123", "`batchord run NAME --local`"),
        ("run notes", "`batchord run notes --local`"),
        ("migrate", "`batchord up`"),
    ],
)
def test_without_servers_every_command_says_what_to_do(
    own_home: Path, tmp_path: Path, notes_file: Path, command: str, told: str
) -> None:
    """Exit code 1 and one line that names a command and the variable. An empty home stays empty."""
    assert notes_file.parent == tmp_path
    ended = OwnStack(own_home, tmp_path).batchord(*command.split())
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "set BATCHORD_" in line
    assert told in line
    assert not list(own_home.glob("postgres*"))


@pytest.fixture
def notes_file(tmp_path: Path) -> Path:
    """A folder with one pipeline, which no server is needed to read."""
    file = tmp_path / "notes.py"
    file.write_text(
        "from batchord import Pipeline, SqlSource\n"
        "def length(frame):\n    return frame['body'].str.len()\n"
        "notes = Pipeline('notes', source=SqlSource('SELECT id, body FROM notes', key='id'), model=length)\n"
    )
    return file


def test_a_broken_pipeline_file_is_named_and_hides_no_other(notes: Cluster) -> None:
    """``pipelines`` lists the good ones, tells file and line of the bad one, and exits with 1."""
    (notes.pipelines / "broken.py").write_text("import no_such_module\n")
    told = _as_json(notes, "pipelines", code=1)
    assert [each["name"] for each in told["pipelines"]] == ["notes"]
    (problem,) = told["problems"]
    assert problem["file"] == "broken.py"
    assert problem["what"].startswith("line 1: ModuleNotFoundError")
    assert "broken.py: line 1" in _as_text(notes, "pipelines", code=1)


def test_a_wrong_call_exits_with_two(notes: Cluster) -> None:
    """Shells expect this code. click explains how to call the command."""
    for command in (("run",), ("runs", "--limit", "0"), ("run", "notes", "--param", "novalue"), ("nonsense",)):
        ended = notes.batchord(*command, check=False)
        assert ended.returncode == 2
        assert "Usage: batchord" in ended.stderr


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_looking_around_needs_no_heavy_module(option: str) -> None:
    """It answers at once, also where only the command line is installed."""
    code = (
        f"import sys\nfrom batchord.app.cli import batchord\nbatchord([{option!r}], standalone_mode=False)\n"
        f"print([name for name in {_HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, text=True, capture_output=True, check=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == "[]"
