"""Files are edited while processes run. An edit takes effect within seconds, without a restart."""

import json
from pathlib import Path

from tests.acceptance.cluster import Cluster
from tests.acceptance.own_stack import OwnStack
from tests.waiting import wait_until

_SCORES = """
    from batchord import Pipeline, SqlSource
    from factors import FACTOR

    def score(frame):
        return frame["body"].str.len() * FACTOR

    scored = Pipeline(
        "scored",
        source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
        model=score,
    )
"""
_OFTEN = """
    from batchord import Pipeline, Python, every

    often = Pipeline("often", schedule=every(seconds=2), steps=[Python("nothing", lambda: None)])
"""
#: Seconds within which an edit counts.
_SOON = 10


def _run(cluster: Cluster) -> dict[str, str]:
    run: dict[str, str] = json.loads(cluster.batchord("run", "scored", "--wait", "--json").stdout)
    assert run["state"] == "succeeded", run
    return run


def test_an_edited_module_counts_for_the_next_run(notes: Cluster) -> None:
    """Plan and run agree; records of before keep the version that made them; old processes of the pool are gone."""
    notes.pipeline("factors", "FACTOR = 1")
    notes.pipeline("scored", _SCORES)
    notes.start("control", "worker", "beat")
    notes.insert_notes(4)
    _run(notes)
    first = {child.pid for child in notes.pool("worker")}

    notes.pipeline("factors", "FACTOR = 100")
    notes.insert_notes(4)
    planned = json.loads(notes.batchord("plan", "scored", "--json").stdout)[0]
    _run(notes)

    scores = notes.sql("SELECT score::int, model_version FROM batchord.predictions WHERE pipeline = 'scored'")
    versions = {score: version for score, version in scores}  # noqa: C416 -- read as a table
    assert sorted(versions) == [1, 2, 3, 4, 100, 200, 300, 400]
    assert versions[1] != versions[100]
    assert versions[100] == versions[400] == planned["model_version"]
    notes.insert_notes(1)
    _run(notes)
    wait_until(lambda: bool(first - {child.pid for child in notes.pool("worker")}), description="a process is replaced")
    assert notes.restarts("worker") == notes.restarts("control") == 0
    assert notes.sql("SELECT count(*)::int FROM batchord.attempts WHERE state = 'lost'") == [(0,)]


def test_a_scheduled_pipeline_comes_and_goes_with_its_file(notes: Cluster) -> None:
    """Beat and the workers that run already take it up."""
    notes.start("control", "worker", "beat")

    notes.pipeline("often", _OFTEN)
    wait_until(
        lambda: any(run["state"] == "succeeded" for run in notes.runs("often")),
        description="the new pipeline runs",
        timeout=2 * _SOON,
    )

    (notes.pipelines / "often.py").unlink()
    wait_until(
        lambda: "pipeline:often is no longer scheduled" in notes.log("beat"),
        description="beat knows that it has gone",
        timeout=_SOON,
    )


def test_a_broken_edit_stops_nobody(notes: Cluster) -> None:
    """The last good version still runs, also in processes that start after the edit. The command line says so."""
    notes.pipeline("factors", "FACTOR = 1")
    notes.pipeline("scored", _SCORES)
    notes.start("control", "worker", "beat")
    notes.insert_notes(2)
    _run(notes)

    notes.pipeline("factors", "FACTOR = (")
    notes.insert_notes(2)
    wait_until(lambda: "SyntaxError" in notes.log("beat"), description="beat has looked", timeout=_SOON)
    for child in notes.pool("worker"):
        child.kill()
    _run(notes)

    assert notes.sql("SELECT count(*)::int, max(score)::int FROM batchord.predictions") == [(4, 2)]
    listed = notes.batchord("pipelines", "--json", check=False)
    assert listed.returncode == 1
    assert {problem["file"] for problem in json.loads(listed.stdout)["problems"]} == {"factors.py", "scored.py"}


def test_up_tells_of_a_broken_file_and_runs_the_rest(tmp_path: Path) -> None:
    """It exits with 1, as ``status`` and ``pipelines`` do while the file is broken.

    Over 30 seconds on a busy machine: a whole stack is started and stopped.
    """
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "broken.py").write_text("raise ValueError('half written')\n", encoding="utf-8")
    good = "from batchord import Pipeline, Python\ngood = Pipeline('good', steps=[Python('work', lambda: 5)])\n"
    (folder / "good.py").write_text(good, encoding="utf-8")
    stack = OwnStack(tmp_path / "home", folder, folder=tmp_path)
    try:
        up = stack.batchord("up")
        assert up.returncode == 1, up.stderr
        assert "broken.py: line 1: ValueError: half written" in up.stdout
        assert stack.batchord("run", "good", "--wait").returncode == 0
        status = stack.batchord("status", "--json")
        assert status.returncode == 1
        assert [problem["file"] for problem in json.loads(status.stdout)["problems"]] == ["broken.py"]

        (folder / "broken.py").unlink()
        assert stack.batchord("status").returncode == 0
    finally:
        stack.batchord("down")
