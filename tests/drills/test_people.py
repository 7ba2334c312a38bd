"""Drills of people: they ask twice, cancel in the middle, and change pipelines under a run."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from celery import Celery

from tests.drills.drill import Drill
from tests.drills.gate import Gate
from tests.waiting import wait_until

_ONE_AFTER_THE_OTHER = """
    SELECT count(*) FROM batchord.runs AS one JOIN batchord.runs AS other
        ON one.id < other.id AND one.started_at < other.finished_at AND other.started_at < one.finished_at
"""
#: Predictions by step, and of how many records.
_BY_STEP = "SELECT step, count(*), count(DISTINCT record_key) FROM batchord.predictions GROUP BY step ORDER BY step"


def test_two_runs_by_hand_at_once(drill: Drill) -> None:
    """Both are waited for and both succeed, one after the other; the records are those of the first."""
    cluster = drill.cluster
    cluster.start("control", "worker", "beat")
    drill.injected()
    with ThreadPoolExecutor() as hands:
        asked = [hands.submit(cluster.batchord, "run", "notes", "--wait", "--json") for _ in range(2)]
        ended = [json.loads(each.result().stdout) for each in asked]
    assert sorted(run["discovered"] for run in ended) == [0, 400]
    drill.settle()
    assert drill.cluster.sql(_ONE_AFTER_THE_OTHER) == [(0,)]
    drill.check(runs=("succeeded",) * 2)


def test_a_request_by_hand_survives_the_worker_that_took_it(drill: Drill) -> None:
    """Nobody gives that message back, and no run is in the ledger yet: the command sends it again."""
    cluster = drill.cluster
    cluster.start("control", "worker", "beat", faults={"control": "message-taken:batchord.start_run=kill@1"})
    ended = json.loads(cluster.batchord("run", "notes", "--wait", "--json").stdout)
    assert drill.fired("message-taken:batchord.start_run")
    assert ended["predicted"] == 400
    drill.settle()
    drill.check()


def test_a_run_by_hand_waits_for_the_run_of_a_tick(drill: Drill) -> None:
    """The command says so. The run starts once the tick's run has ended; ticks meanwhile are skipped."""
    cluster, gate = drill.cluster, Gate(drill, schedule="every(seconds=1)")
    cluster.start("control", "worker", "beat")
    gate.wait_until_reached()
    drill.injected()
    asked = json.loads(cluster.batchord("run", "notes", "--json").stdout)
    assert (asked["state"], asked["kind"]) == ("queued", "manual")
    cluster.insert_notes(5)
    gate.open()
    drill.settle()
    cluster.stop("beat")
    drill.wait_until_idle()
    worked = cluster.sql(
        "SELECT kind, predicted FROM batchord.runs WHERE state = 'succeeded' ORDER BY started_at LIMIT 2"
    )
    assert worked == [("scheduled", 400), ("manual", 5)]
    assert drill.cluster.sql(_ONE_AFTER_THE_OTHER) == [(0,)]
    drill.check(runs=None)


def test_a_run_that_is_cancelled_in_mid_shard_writes_no_more(drill: Drill) -> None:
    """Its worker goes on and is refused at its next write. The next run takes the remaining records."""
    cluster, gate = drill.cluster, Gate(drill)
    cluster.start("control", "worker", "beat")
    drill.run()
    gate.wait_until_reached()
    _wait_for_other_shard(drill)
    drill.injected()
    assert json.loads(cluster.batchord("cancel", _run(drill), "--json").stdout)["state"] == "cancelled"
    gate.open()
    wait_until(lambda: "no longer belongs to this worker" in cluster.log("worker"), description="the worker is fenced")
    _take_what_is_left(drill)


def test_a_run_whose_task_is_terminated_in_mid_shard_is_cancelled(drill: Drill) -> None:
    """As Flower does it: the process that predicts the shard is killed. The next run takes the remaining records."""
    cluster, gate = drill.cluster, Gate(drill)
    cluster.start("control", "worker", "beat")
    drill.run()
    gate.wait_until_reached()
    _wait_for_other_shard(drill)
    drill.injected()
    with Celery(broker=cluster.environment["BATCHORD_REDIS_URL"], set_as_current=False) as client:
        client.control.revoke(_task(client), terminate=True)
    wait_until(lambda: _states(drill) == ["cancelled"], description="the run is cancelled")
    assert cluster.sql("SELECT error FROM batchord.runs") == [("cancelled by a revoked task",)]
    gate.open()
    _take_what_is_left(drill)


def test_a_pipeline_that_is_gone_for_a_while_ends_its_run_when_it_is_back(drill: Drill) -> None:
    """A worker that does not know it hands its shard back, again and again, until one does."""
    cluster, gate = drill.cluster, Gate(drill)
    cluster.start("control", "worker", "beat", BATCHORD_MAX_ATTEMPTS="1000")
    drill.run()
    gate.wait_until_reached()
    drill.injected()
    file = cluster.pipelines / "notes.py"
    written = file.read_text()
    with _taken_up(drill):
        file.unlink()
    _restart(drill, "worker")
    _wait_for_error(drill, "There is no pipeline 'notes'")
    file.write_text(written)
    gate.open()
    _restart(drill, "worker")
    drill.settle()
    drill.check()


def test_a_step_that_is_renamed_under_its_run_ends_it(drill: Drill) -> None:
    """The run says why it ends, and a follow-up predicts under the new name. With the old name again, a run goes on."""
    cluster, gate = drill.cluster, Gate(drill)
    cluster.start("control", "worker", "beat")
    drill.run()
    gate.wait_until_reached()
    _wait_for_other_shard(drill)
    drill.injected()
    with _taken_up(drill):
        drill.declare(step="renamed")
    _restart(drill, "worker")
    wait_until(lambda: _states(drill) == ["partial", "succeeded"], description="the follow-up run ends", timeout=60)
    errors = cluster.sql("SELECT error FROM batchord.runs ORDER BY created_at")
    assert "code-changed" in errors[0][0]
    assert cluster.sql(_BY_STEP) == [("predict", 240, 240), ("renamed", 400, 400)]
    with _taken_up(drill):
        drill.declare()
    _restart(drill, "control", "worker")
    drill.run()
    wait_until(lambda: _states(drill)[2:] == ["succeeded"], description="the third run ends", timeout=60)
    assert cluster.sql(_BY_STEP) == [("predict", 400, 400), ("renamed", 400, 400)]


def test_a_model_that_is_changed_under_its_run_ends_it(drill: Drill) -> None:
    """A run never mixes two versions: an immediate follow-up run predicts the rest with the new one."""
    cluster, gate = drill.cluster, Gate(drill)
    cluster.start("control", "worker", "beat")
    drill.run()
    gate.wait_until_reached()
    _wait_for_other_shard(drill)
    drill.injected()
    with _taken_up(drill):
        drill.declare('return 2 * frame["body"].str.len()')
    _restart(drill, "control", "worker")
    wait_until(lambda: _states(drill) == ["partial", "succeeded"], description="the follow-up run ends", timeout=60)
    errors = cluster.sql("SELECT error FROM batchord.runs ORDER BY created_at")
    assert "code-changed" in errors[0][0]
    drill.settle()
    versions = cluster.sql(
        "SELECT run.state, count(DISTINCT model_version), sum(score / length(body)) FROM batchord.predictions "
        "JOIN notes ON notes.id::text = record_key JOIN batchord.runs AS run ON run.id = run_id "
        "GROUP BY run.id ORDER BY run.id"
    )
    assert versions == [("partial", 1, 240), ("succeeded", 1, 2 * 160)]
    drill.check(runs=("partial", "succeeded"))


@contextmanager
def _taken_up(drill: Drill) -> Iterator[None]:
    """Waits until a process has taken up what the block edits: one that starts right after an edit begins as before."""
    loads = partial(_loads, drill)
    before = loads()
    yield
    wait_until(lambda: loads() > before, description="the edit is taken up")


def _loads(drill: Drill) -> int:
    return drill.cluster.log("control").count("This process has loaded the new code")


def _restart(drill: Drill, *names: str) -> None:
    """Kills processes and waits until their supervisors have started them again, which read the changed files."""
    ready = {name: drill.cluster.log(name).count(" ready.") for name in names}
    for name in names:
        drill.cluster.kill(name)
    for name, before in ready.items():
        wait_until(
            lambda name=name, before=before: drill.cluster.log(name).count(" ready.") > before,  # type: ignore[misc]
            description=f"{name} is up again",
        )


def _take_what_is_left(drill: Drill) -> None:
    """Nothing was written after the run's end; the next run predicts the rest, and only that."""
    assert drill.cluster.sql("SELECT count(*) FROM batchord.predictions") == [(240,)]
    drill.run()
    drill.settle()
    counts = drill.cluster.sql("SELECT predicted FROM batchord.runs ORDER BY created_at")
    assert counts == [(240,), (160,)]
    drill.check(runs=("cancelled", "succeeded"))


def _wait_for_other_shard(drill: Drill) -> None:
    """The one that does not stand at the gate is done: what the run has predicted is known to the record."""
    wait_until(
        lambda: drill.cluster.sql("SELECT state FROM batchord.shards WHERE index = 1") == [("done",)],
        description="the other shard is done",
    )


def _wait_for_error(drill: Drill, said: str) -> None:
    wait_until(
        lambda: any(said in (error or "") for (error,) in drill.cluster.sql("SELECT error FROM batchord.shards")),
        description=f"a shard says: {said}",
        timeout=60,
    )


def _run(drill: Drill) -> str:
    ((run,),) = drill.cluster.sql("SELECT id::text FROM batchord.runs")
    return str(run)


def _states(drill: Drill) -> list[str]:
    return [state for (state,) in drill.cluster.sql("SELECT state FROM batchord.runs ORDER BY created_at")]


def _task(client: Celery) -> str:
    """The id of the task that predicts the shard at the gate."""
    active: dict[str, list[dict[str, Any]]] = wait_until(
        lambda: client.control.inspect(timeout=0.5).active(), description="the workers answer"
    )
    tasks = [task for tasks in active.values() for task in tasks if task["name"] == "batchord.predict_shard"]
    # The task of the other shard may be active for a moment after its last record was written.
    (at_the_gate,) = [task["id"] for task in tasks if task["kwargs"]["index"] == 0]
    return str(at_the_gate)
