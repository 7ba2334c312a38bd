"""Modules inside and beside the pipelines' folder are imported alike in every process, and by tests of an author."""

import json
import os
import subprocess
import sys

import pytest

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_PIPELINE = """
    from batchord import Pipeline, SqlSource, every

    from _inside import INSIDE
    from beside import BESIDE
    from kinds import KIND
    from team.words import WORDS

    def score(frame):
        from later import LATER
        return frame["body"].str.len() * 0 + INSIDE + BESIDE + KIND + WORDS + LATER

    scored = Pipeline(
        "scored",
        {schedule}
        source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
        model=score,
    )
"""
#: Each module, and what it holds. Their sum is the score.
_MODULES = {
    "pipelines/_inside.py": "INSIDE = 1",
    "pipelines/kinds.py": "KIND = 10",
    "pipelines/team/words.py": "WORDS = 100",
    "beside.py": "BESIDE = 1000",
    "later.py": "LATER = 10000",
}
_TEST = """
from scored import score, scored

def test_score():
    import pandas as pd
    assert scored.name == "scored"
    assert score(pd.DataFrame({"body": ["x"]})).tolist() == [11111]
"""


@pytest.fixture
def project(notes: Cluster) -> Cluster:
    """A project with modules in every place, and four records."""
    for name, text in _MODULES.items():
        file = notes.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{text}\n")
    notes.pipeline("scored", _PIPELINE.format(schedule=""))
    notes.insert_notes(4)
    return notes


def _scores(cluster: Cluster) -> list[int]:
    rows = cluster.sql("SELECT DISTINCT score::int FROM batchord.predictions WHERE pipeline = 'scored' ORDER BY score")
    return [score for (score,) in rows]


def _tried(cluster: Cluster) -> set[float]:
    found = json.loads(cluster.batchord("try", "scored", "--json").stdout)
    return {each["score"] for each in found["predictions"]}


def test_commands_and_the_authors_tests_import_alike(project: Cluster) -> None:
    """From any working directory: `pipelines`, `plan`, `try`, `run --local`, and pytest with both folders."""
    assert [each["name"] for each in json.loads(project.batchord("pipelines", "--json").stdout)["pipelines"]] == [
        "notes",
        "scored",
    ]
    assert json.loads(project.batchord("plan", "scored", "--json").stdout)[0]["model_loaded"]
    assert _tried(project) == {11111}
    project.batchord("run", "scored", "--local")
    assert _scores(project) == [11111]

    (project.folder / "test_scored.py").write_text(_TEST)
    (project.folder / "pytest.ini").write_text("[pytest]\npythonpath = . pipelines\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_scored.py"],
        cwd=project.folder,
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_workers_and_beat_import_alike_and_take_up_every_edit(project: Cluster) -> None:
    """An edit of any module counts for the next run, also of one that a function imports when it is called.

    Over 30 seconds on a busy machine: workers and beat are started.
    """
    project.start("control", "worker", "beat")
    project.batchord("run", "scored", "--wait")
    assert _scores(project) == [11111]

    for name, text in _MODULES.items():
        (project.folder / name).write_text(text.replace("1", "2", 1) + "\n")
    assert _tried(project) == {22222}
    project.insert_notes(1)
    project.batchord("run", "scored", "--wait")
    assert _scores(project) == [11111, 22222]

    # The module first: whoever knows the schedule then knows the module's edit, too.
    (project.folder / "later.py").write_text("LATER = 30000\n")
    project.pipeline("scored", _PIPELINE.format(schedule="schedule=every(seconds=1),"))
    project.insert_notes(1)
    wait_until(lambda: _scores(project) == [11111, 22222, 32222], description="beat's run has the edit", timeout=40)
