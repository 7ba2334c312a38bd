"""Graphs of steps of every kind, run by the command line on real workers."""

import json
from typing import Any

import psutil

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_EVERY_KIND = """
    from batchord import Bash, Branch, Pipeline, Predict, Python, Sql, SqlSource

    def prepare(run):
        return {"threshold": run.params["threshold"]}

    def length(frame):
        return frame["body"].str.len()

    def choose(run):
        return "tell" if run["score"].predicted > run["prepare"]["threshold"] else "be-silent"

    def close(run):
        return {name: str(output.state) for name, output in run.items()}

    graph = Pipeline(
        "graph",
        steps=[
            Python("prepare", prepare),
            Predict("score", source=SqlSource("SELECT id, body FROM notes", key="id"), model=length, after="prepare"),
            Branch("choose", choose, after="score"),
            Bash("tell", 'echo "$BATCHORD_PIPELINE has $NEWS"', env={"NEWS": "new predictions"}, after="choose"),
            Python("be-silent", prepare, after="choose"),
            Sql("count", "SELECT count(*) AS notes, :threshold AS threshold FROM notes", after="tell"),
            Python("close", close, after=["count", "be-silent"], join="always"),
        ],
    )
"""
_FOLLOWER = """
    from batchord import Pipeline, Python, after_pipeline

    def look(run):
        return run.kind

    follower = Pipeline("follower", schedule=after_pipeline("graph"), steps=[Python("look", look)])
"""


def test_a_graph_of_every_kind_is_run_and_shown(notes: Cluster) -> None:
    """Each step sees the results before it, the branch decides, and the following pipeline gets its run."""
    notes.insert_notes(7)
    notes.pipeline("graph", _EVERY_KIND)
    notes.pipeline("follower", _FOLLOWER)
    notes.start("control", "worker")
    ended = json.loads(notes.batchord("run", "graph", "--wait", "--json", "--param", "threshold=5").stdout)
    assert (ended["state"], ended["predicted"], ended["error"]) == ("succeeded", 7, None)
    shown = json.loads(notes.batchord("show", ended["id"], "--json").stdout)
    steps = {step["name"]: step for step in shown["steps"]}
    assert {name: (step["kind"], step["state"]) for name, step in steps.items()} == {
        "prepare": ("python", "done"),
        "score": ("predict", "done"),
        "choose": ("branch", "done"),
        "tell": ("bash", "done"),
        "be-silent": ("python", "skipped"),
        "count": ("sql", "done"),
        "close": ("python", "done"),
    }
    assert steps["tell"]["output"]["value"]["last_line"] == "graph has new predictions"
    assert steps["count"]["output"]["value"]["rows"] == [{"notes": 7, "threshold": 5}]
    assert steps["close"]["output"]["value"]["be-silent"] == "skipped"
    people = notes.batchord("show", ended["id"]).stdout
    assert all(name in people for name in steps)
    wait_until(
        lambda: [run["state"] for run in notes.runs("follower")] == ["succeeded"],
        description="the pipeline that follows has its run",
        interval=1,
    )


def test_what_failed_is_run_again_after_a_fix(notes: Cluster) -> None:
    """``rerun --failed`` takes over the finished steps and repeats the others as a new run."""
    notes.pipeline(
        "mended",
        f"""
        from pathlib import Path
        from batchord import Bash, Pipeline, Python

        def read():
            return Path({str(notes.folder / "flag")!r}).read_text()

        def last(run):
            return run["read"].value

        mended = Pipeline(
            "mended",
            steps=[
                Bash("first", "echo once >> {notes.folder}/first"),
                Python("read", read, after="first"),
                Python("last", last, after="read"),
            ],
        )
        """,
    )
    notes.start("control", "worker")
    failed = json.loads(notes.batchord("run", "mended", "--wait", "--json", check=False).stdout)
    assert failed["state"] == "failed"
    assert "FileNotFoundError" in failed["error"]
    assert _states(notes, failed["id"]) == {"first": "done", "read": "failed", "last": "upstream_failed"}
    (notes.folder / "flag").write_text("mended")
    again = json.loads(notes.batchord("rerun", failed["id"], "--failed", "--json").stdout)
    assert again["id"] != failed["id"]
    _wait_until_ended(notes, again["id"])
    assert _states(notes, again["id"]) == {"first": "done", "read": "done", "last": "done"}
    assert _outputs(notes, again["id"])["last"] == {"value": "mended"}
    assert (notes.folder / "first").read_text() == "once\n"
    assert _states(notes, failed["id"])["read"] == "failed"


def test_steps_that_take_too_long_are_ended(notes: Cluster) -> None:
    """A command with all that it started, a function with its pool process; both say why."""
    notes.pipeline(
        "slow",
        f"""
        import threading
        from datetime import timedelta
        from batchord import Bash, Pipeline, Python

        def wait():
            threading.Event().wait()

        slow = Pipeline(
            "slow",
            steps=[
                Bash(
                    "command",
                    "(sleep 1234.5 & echo $! > {notes.folder}/child); echo waits >&2; sleep 1234.5",
                    time_limit=timedelta(seconds=1),
                ),
                Python("function", wait, time_limit=timedelta(seconds=2)),
            ],
        )
        """,
    )
    # With beat: when Celery has ended a pool process for its time, the sweeper sends for the step's end.
    notes.start("control", "worker", "beat")
    ended = json.loads(notes.batchord("run", "slow", "--wait", "--json", check=False).stdout)
    assert ended["state"] == "failed"
    errors = dict(notes.sql("SELECT name, error FROM batchord.steps"))
    assert "longer than its time limit of 1 s" in errors["command"]
    assert "waits" in errors["command"]
    assert "time limit of 2 s" in errors["function"]
    assert not psutil.pid_exists(int((notes.folder / "child").read_text()))


def test_a_step_on_a_queue_of_its_own_waits_for_its_worker(notes: Cluster) -> None:
    """No other worker takes it; its own does as soon as it is there."""
    notes.pipeline(
        "special",
        """
        import os
        from batchord import Pipeline, Python

        special = Pipeline(
            "special",
            steps=[
                Python("anywhere", os.getpid),
                Python("there", os.getppid, after="anywhere", queue="special"),
            ],
        )
        """,
    )
    notes.start("control", "worker")
    opened = json.loads(notes.batchord("run", "special", "--json").stdout)
    wait_until(
        lambda: _states(notes, opened["id"]) == {"anywhere": "done", "there": "ready"},
        description="the step waits for a worker of its own",
    )
    notes.start("special")
    _wait_until_ended(notes, opened["id"])
    assert _outputs(notes, opened["id"])["there"] == {"value": notes.process("special").pid}


def test_windows_of_the_past_are_filled_oldest_first(notes: Cluster) -> None:
    """``run --from --to --wait`` opens a run for each window of the schedule, and waits for all of them."""
    notes.pipeline(
        "windows",
        """
        from batchord import Pipeline, Sql, every

        windows = Pipeline(
            "windows",
            schedule=every(hours=6),
            steps=[Sql("fill", "INSERT INTO filled (start) VALUES (:window_start)")],
        )
        """,
    )
    notes.sql("CREATE TABLE filled (id bigint GENERATED ALWAYS AS IDENTITY, start timestamptz)")
    notes.start("control", "worker")
    told = notes.batchord("run", "windows", "--from", "2026-03-01", "--to", "2026-03-02", "--wait", "--json")
    runs = json.loads(told.stdout)
    assert [run["state"] for run in runs] == ["succeeded"] * 4
    starts = [start for (start,) in notes.sql("SELECT start::text FROM filled ORDER BY id")]
    assert starts == [f"2026-03-01 {hour}:00:00+00" for hour in ("00", "06", "12", "18")]


def _states(cluster: Cluster, run_id: str) -> dict[str, str]:
    return dict(cluster.sql("SELECT name, state FROM batchord.steps WHERE run_id = %s ORDER BY ordinal", run_id))


def _outputs(cluster: Cluster, run_id: str) -> dict[str, Any]:
    return dict(cluster.sql("SELECT name, output FROM batchord.steps WHERE run_id = %s", run_id))


def _wait_until_ended(cluster: Cluster, run_id: str) -> None:
    wait_until(
        lambda: cluster.sql("SELECT state FROM batchord.runs WHERE id = %s AND finished_at IS NOT NULL", run_id),
        description="the run has ended",
    )
