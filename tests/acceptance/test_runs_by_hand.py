"""The four ways to start a run by hand, and the same run without a broker."""

import base64
import json
import os
import pwd
import socket
import subprocess
import sys
import urllib.request
from typing import Any

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_LOGIN = {"FLOWER_BASIC_AUTH": "tester:a-password"}


def test_the_command_waits_for_its_run_and_reports_it(notes: Cluster) -> None:
    """``batchord run --wait --json`` exits with 0 and gives the counts of a one-shard run."""
    notes.insert_notes(7)
    notes.start("control", "worker")
    ended = json.loads(notes.batchord("run", "notes", "--wait", "--json", "--param", "why=test").stdout)
    assert (ended["state"], ended["discovered"], ended["predicted"]) == ("succeeded", 7, 7)
    assert (ended["trigger"], ended["slot"]) == ("cli", None)
    shown = json.loads(notes.batchord("show", ended["id"][:13], "--json").stdout)
    assert shown["params"] == {"why": "test"}
    assert [shard["state"] for shard in shown["shards"]] == ["done"]
    assert shown["summary"]["steps"]["predict"]["score_quantiles"]["max"] == 7.0
    notes.assert_exactly_once("notes", "notes")
    notes.batchord("pause", "notes")
    paused, run = json.loads(notes.batchord("history", "--pipeline", "notes", "--json").stdout)
    me = {"user": pwd.getpwuid(os.geteuid()).pw_name, "host": socket.gethostname(), "way": "command"}
    assert paused.items() >= {"action": "pause", "run_id": None, **me}.items()
    assert run.items() >= {"action": "run", "run_id": ended["id"], **me}.items()
    assert run["detail"] == {"params": {"why": "test"}, "trigger": "cli"}
    shown = notes.batchord("history", "--limit", "1").stdout
    assert "pause" in shown
    assert me["user"] in shown


def test_a_run_with_nothing_to_do_succeeds_without_shards(notes: Cluster) -> None:
    """An empty table is not an error and needs no model worker. The process that opens the run does all of it."""
    notes.start("control")
    ended = json.loads(notes.batchord("run", "notes", "--wait", "--json").stdout)
    assert (ended["state"], ended["discovered"]) == ("succeeded", 0)
    said = notes.log("control")
    assert "Task batchord.start_run[" in said
    assert "Task batchord.plan_step[" not in said
    assert "Task batchord.finish_step[" not in said


def test_celery_call_and_delay_start_runs(notes: Cluster) -> None:
    """``celery -A app call`` and ``start_run.delay`` need nothing but the pipeline's name."""
    notes.insert_notes(5)
    notes.start("control", "worker")
    notes.call("batchord.start_run", pipeline="notes")
    notes.wait_for_records("notes", "notes")
    notes.insert_notes(3)
    code = "from workers.tasks import start_run; print(start_run.delay(pipeline='notes').get(timeout=30))"
    sent = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **notes.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    notes.wait_for_records("notes", "notes")
    (newest, _) = notes.runs("notes")
    assert (newest["id"], newest["trigger"], newest["predicted"]) == (sent.stdout.strip(), "call", 3)


def test_flower_starts_and_ends_runs_over_http_and_names_its_user(notes: Cluster) -> None:
    """Flower's API needs its password; with it, a run is one POST away, its tasks are listed and can be terminated."""
    notes.insert_notes(4)
    notes.pipeline(
        "slow", 'from batchord import Bash, Pipeline\nslow = Pipeline("slow", steps=[Bash("sleep", "sleep 300")])\n'
    )
    notes.start("control", "worker")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flower = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "batchord.app", "flower", "--address=127.0.0.1", f"--port={port}"],
        # As in Compose, its environment has neither the database nor the pipelines.
        env={**os.environ, "BATCHORD_REDIS_URL": notes.environment["BATCHORD_REDIS_URL"], **_LOGIN},
        cwd=notes.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/{path}", data=data)
        request.add_header("Authorization", "Basic " + base64.b64encode(b"tester:a-password").decode())
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    try:
        wait_until(lambda: _answers(port), description="Flower answers", timeout=60)

        def listed() -> bool:
            # Repeated, because Flower answers before it listens to events and does not list events that it missed.
            notes.insert_notes(1)
            forged = {"pipeline": "notes", "by": {"user": "somebody else"}}
            assert ask("task/async-apply/batchord.start_run", {"kwargs": forged})["task-id"]
            names = {task["name"] for task in ask("tasks").values()}
            return names >= {"batchord.start_run", "batchord.predict_shard"}

        wait_until(listed, description="Flower lists the run's tasks", interval=1)
        notes.wait_for_records("notes", "notes")
        ask("task/async-apply/batchord.start_run", {"kwargs": {"pipeline": "slow"}})
        started = wait_until(
            lambda: list(ask("tasks?taskname=batchord.run_step&state=STARTED")), description="the step is at work"
        )
        ask(f"task/revoke/{started[0]}?terminate=true", {})
        wait_until(lambda: notes.runs("slow")[0]["state"] == "cancelled", description="the run is cancelled")
    finally:
        flower.terminate()
        flower.wait(timeout=20)
    notes.assert_exactly_once("notes", "notes")
    changes = json.loads(notes.batchord("history", "--json").stdout)
    assert [(each["action"], each["pipeline"]) for each in changes[:3]] == [
        ("cancel", "slow"),
        ("run", "slow"),
        ("run", "notes"),
    ]
    assert {(each["user"], each["host"], each["way"]) for each in changes} == {("tester", "127.0.0.1", "flower")}


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def test_local_predictions_are_those_of_the_cluster(notes: Cluster) -> None:
    """The same records through ``--local`` and through workers give the same rows, digests included."""
    notes.insert_notes(500)
    source = (notes.pipelines / "notes.py").read_text()
    notes.pipeline("here", source.replace('"notes",\n', '"here",\n', 1))
    notes.start("control", "worker")
    notes.batchord("run", "notes", "--wait")
    notes.batchord("run", "here", "--local")
    query = (
        "SELECT record_key, model_version, label, score, output, input_digest "
        "FROM batchord.predictions WHERE pipeline = %s ORDER BY record_key"
    )
    there, here = notes.sql(query, "notes"), notes.sql(query, "here")
    assert len(here) == 500
    assert here == there


def _run_and_look_for_a_frontier(notes: Cluster) -> bool:
    """The frontier moves with the second run, or later: it stays a second behind the clock."""
    notes.batchord("run", "notes", "--local")
    return notes.sql("SELECT position IS NOT NULL FROM batchord.frontiers") == [(True,)]


def test_audit_finds_what_is_missing_and_says_so_by_its_exit_code(notes: Cluster) -> None:
    """A prediction deleted behind the ledger's back is found once the frontier has passed its record."""
    notes.insert_notes(50)
    wait_until(lambda: _run_and_look_for_a_frontier(notes), description="the frontier is above the records")
    clean = notes.batchord("audit", "--json")
    assert json.loads(clean.stdout)["notes"] == {
        "records": 50,
        "predicted": 50,
        "rejected": 0,
        "pending": 0,
        "missing": 0,
        "duplicated": 0,
        "not_audited": {},
    }
    notes.sql("DELETE FROM batchord_results.notes__predict WHERE id IN (7, 9)")
    dirty = notes.batchord("audit", "notes", "--json", check=False)
    assert dirty.returncode == 1
    assert json.loads(dirty.stdout)["notes"]["missing"] == 2
