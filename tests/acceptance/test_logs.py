"""``batchord logs`` shows the logged and printed lines of steps and shards from every log store."""

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_TALKATIVE = """
    import logging
    import threading
    from pathlib import Path
    from batchord import Bash, Pipeline, Predict, Python, SqlSource

    FOLDER = Path({folder!r})

    def speak(run):
        print("printed by", run.step)
        logging.getLogger("authors").warning("logged by %s", run.step)
        while (FOLDER / "gate").exists():
            threading.Event().wait(0.01)
        print("after the gate")

    def length(frame):
        print("predicts", len(frame))
        return frame["body"].str.len()

    def fail():
        raise ValueError("nothing helps")

    talkative = Pipeline(
        "talkative",
        steps=[
            Python("speak", speak),
            Predict(
                "score", source=SqlSource("SELECT id, body FROM notes", key="id"), model=length, after="speak",
                batch_rows=20, shard_rows=20,
            ),
            Bash("shout", "echo to stdout; echo to stderr >&2", after="score"),
            Python("fail", fail, after="shout"),
        ],
    )
"""


@pytest.fixture
def talkative(notes: Cluster) -> Cluster:
    """A pipeline whose steps print lines. The last one fails."""
    notes.insert_notes(40)
    notes.pipeline("talkative", _TALKATIVE.format(folder=str(notes.folder)))
    return notes


@pytest.mark.parametrize("place", ["ledger", "s3"])
def test_logs_are_there_when_the_workers_are_gone(talkative: Cluster, bucket: str, place: str) -> None:
    """Each step and shard has its printed and logged lines, both streams of a command, and an error's traceback."""
    talkative.environment["BATCHORD_LOG_STORE"] = "ledger" if place == "ledger" else f"s3://{bucket}/logs"
    talkative.start("control", "worker")
    run = json.loads(talkative.batchord("run", "talkative", "--wait", "--json", check=False).stdout)
    for name in ("control", "worker"):
        talkative.stop(name)
    lines = _lines(talkative, run["id"])
    said = {(line["step"], line["shard"], line["source"], line["message"]) for line in lines}
    assert said >= {
        ("speak", None, "stdout", "printed by speak"),
        ("speak", None, "authors", "logged by speak"),
        ("speak", None, "stdout", "after the gate"),
        ("score", 0, "stdout", "predicts 20"),
        ("score", 1, "stdout", "predicts 20"),
        ("shout", None, "stdout", "to stdout"),
        ("shout", None, "stderr", "to stderr"),
    }
    (failure,) = [line for line in lines if line["step"] == "fail" and line["level"] == "ERROR"]
    assert "Traceback" in failure["message"]
    assert 'raise ValueError("nothing helps")' in failure["message"]
    assert {(line["run_id"], line["attempt"]) for line in lines} == {(run["id"], 1)}
    assert all(datetime.fromisoformat(line["time"]).tzinfo is not None for line in lines)
    people = talkative.batchord("logs", run["id"][:13], "--step", "score", "--shard", "1").stdout
    assert "score/1 #1 stdout predicts 20" in people
    assert "printed by speak" not in people
    assert bool(talkative.sql("SELECT 1 FROM batchord.attempt_logs LIMIT 1")) == (place == "ledger")


def test_logs_are_followed_while_a_run_is_at_work(talkative: Cluster) -> None:
    """Lines come before the run's end, and with it the command ends."""
    gate = talkative.folder / "gate"
    gate.touch()
    talkative.start("control", "worker")
    opened = json.loads(talkative.batchord("run", "talkative", "--json").stdout)
    command = [
        sys.executable,
        "-c",
        "from batchord.app.cli import main; main()",
        "logs",
        opened["id"],
        "--follow",
        "--json",
    ]
    output = talkative.folder / "followed"
    environment = {**os.environ, **talkative.environment}
    with output.open("w") as file, subprocess.Popen(command, env=environment, stdout=file) as follow:
        wait_until(lambda: "logged by speak" in output.read_text(), description="the first lines come")
        assert "after the gate" not in output.read_text()
        assert follow.poll() is None
        gate.unlink()
        assert follow.wait(timeout=60) == 0
    followed = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["message"] for line in followed if line["step"] == "speak"][-1] == "after the gate"
    # While two shards run, chance decides which of them is shown first.
    assert sorted(map(json.dumps, followed)) == sorted(map(json.dumps, _lines(talkative, opened["id"])))


def test_workers_log_in_json(talkative: Cluster) -> None:
    """Each line that Batchord writes to standard error parses, and says where it belongs."""
    talkative.start("control", "worker", BATCHORD_LOG_FORMAT="json")
    run = json.loads(talkative.batchord("run", "talkative", "--wait", "--json", check=False).stdout)
    talkative.stop("worker")
    lines = [json.loads(line) for line in talkative.log("worker").splitlines() if line.startswith("{")]
    told = {
        (line["step"], line["shard"], line["message"]): (line["run_id"], line["attempt"])
        for line in lines
        if "attempt" in line
    }
    for key in (("speak", None, "printed by speak"), ("speak", None, "logged by speak"), ("score", 1, "predicts 20")):
        assert told.get(key) == (run["id"], 1), key
    (failure,) = [line for line in lines if line.get("step") == "fail" and line["level"] == "ERROR"]
    assert "ValueError: nothing helps" in failure["exception"]
    assert all(datetime.fromisoformat(line["time"]).tzinfo is not None for line in lines)


def test_old_runs_and_their_logs_are_pruned(talkative: Cluster) -> None:
    """By hand, with the days of the settings; predictions stay."""
    talkative.batchord("run", "talkative", "--local", check=False)
    ((run_id,),) = talkative.sql("SELECT id::text FROM batchord.runs")
    assert _lines(talkative, run_id)
    kept = json.loads(talkative.batchord("prune", "--json").stdout)
    assert (kept["runs"], kept["logs"]) == (0, 0)
    talkative.environment |= {"BATCHORD_KEEP_LOGS_DAYS": "1e-6"}
    pruned = json.loads(talkative.batchord("prune", "--json").stdout)
    assert (pruned["runs"], pruned["logs"] > 0) == (0, True)
    assert "There is no log: nothing was logged, or the log was pruned." in talkative.batchord("logs", run_id).stdout
    # As if it had ended before the fewest days that the settings allow.
    days = ", ".join(f"{name} = {name} - interval '3 days'" for name in ("created_at", "started_at", "finished_at"))
    talkative.sql(f"UPDATE batchord.runs SET {days}")  # noqa: S608 -- the names stand here
    talkative.environment |= {"BATCHORD_KEEP_RUNS_DAYS": "2"}
    pruned = json.loads(talkative.batchord("prune", "--json").stdout)
    assert pruned["runs"] == 1
    assert talkative.runs("talkative") == []
    assert talkative.sql("SELECT count(*) FROM batchord.predictions") == [(40,)]


def _lines(cluster: Cluster, run_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cluster.batchord("logs", run_id, "--json").stdout.splitlines()]
