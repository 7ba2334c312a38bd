"""What the ledger keeps of every attempt, and the mark by which a Sql step happens exactly once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord import FunctionModel, Sql
from batchord.core.declared.retries import Retry
from batchord.core.errors import TransientError
from batchord.core.reasons import LossCause
from batchord.core.run.runs import RunState
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.predict.plan import plan_step
from batchord.flow.predict.shard import predict_shard
from batchord.flow.step import execute, operators
from batchord.flow.step.execute import execute_step
from tests.integration.flow_parts import STEP, Bench
from tests.integration.graph_parts import Calls, declare_graph, history, opened, ran, scoring, states, value

VANISHED = "lost: the worker vanished"
INSERT = Sql("work", ["INSERT INTO done (what) VALUES (:run_id)", "SELECT count(*) AS rows FROM done"])


class Died(KeyboardInterrupt):
    """A worker's end: nothing in it is caught."""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Eight records, and a table in which steps leave rows."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(8)
        bench.sql("CREATE TABLE done (what text)")
        yield bench


def dying_at(place: str) -> Any:
    """In place of ``fault``: the worker dies there."""

    def fault(name: str) -> None:
        if name == place:
            raise Died

    return fault


@pytest.fixture
def died_after_its_commit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run whose Sql step has committed; its worker died before it could say so."""
    declare_graph(bench, INSERT)
    run_id, _ = opened(bench)
    with monkeypatch.context() as patch:
        patch.setattr(execute, "fault", dying_at("before-step-end:work"))
        with pytest.raises(Died):
            execute_step(bench.parts(), run_id=run_id, step="work")
    return run_id


def test_a_cancelled_run_says_that_a_sql_step_committed(bench: Bench, died_after_its_commit: str) -> None:
    """Otherwise a rerun of what failed would execute the statements again."""
    cancel_run(bench.parts(), run_id=died_after_its_commit)

    (step,) = bench.ledger.runs.steps(died_after_its_commit)
    assert (step.state, step.error, step.output) == ("done", None, {"row_count": 1, "rows": [{"rows": 1}]})
    assert bench.ledger.runs.get(died_after_its_commit).state is RunState.CANCELLED


def test_a_sql_step_that_committed_is_done_whatever_happened_to_its_file(
    bench: Bench, died_after_its_commit: str
) -> None:
    """An edit took the step out of the pipeline."""
    bench.expire_leases()
    bench.catalog.pipelines.clear()

    execute_step(bench.parts(), run_id=died_after_its_commit, step="work")

    assert states(bench, died_after_its_commit) == {"work": "done"}


def test_a_sql_step_that_committed_is_not_executed_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker died between commit and end. The next worker finds the commit's mark and passes on the result."""
    declare_graph(bench, INSERT)
    run_id, messages = opened(bench)
    with monkeypatch.context() as patch:
        patch.setattr(execute, "fault", dying_at("before-step-end:work"))
        with pytest.raises(Died):
            execute_step(bench.parts(), run_id=run_id, step="work")
    assert states(bench, run_id) == {"work": "running"}
    bench.expire_leases()
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    assert bench.column("SELECT what FROM done") == [run_id]
    assert value(bench, run_id, "work") == {"row_count": 1, "rows": [{"rows": 1}]}
    assert history(bench, run_id, "work") == [("lost", "test:1", VANISHED), ("done", "test:1", None)]


def test_a_fault_right_after_the_commit_does_not_repeat_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker lives, and tries again: the same."""

    def fault(name: str) -> None:
        if name == "after-step-work:work":
            raise TransientError("the network failed")

    declare_graph(bench, INSERT)
    run_id, _ = opened(bench)
    with monkeypatch.context() as patch:
        patch.setattr(operators, "fault", fault)
        messages = execute_step(bench.parts(), run_id=run_id, step="work")
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    assert bench.value("SELECT count(*) FROM done") == 1


def test_a_sql_step_that_did_not_commit_is_executed_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the attempt before is left."""
    declare_graph(bench, INSERT)
    run_id, messages = opened(bench)
    with monkeypatch.context() as patch:
        patch.setattr("batchord.steps.sql.runner.fault", dying_at("before-sql-commit"))
        with pytest.raises(Died):
            execute_step(bench.parts(), run_id=run_id, step="work")
    bench.expire_leases()
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    assert bench.column("SELECT what FROM done") == [run_id]


def test_a_worker_that_was_overtaken_commits_no_sql(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its last statement and its commit another has claimed the step: all is rolled back."""
    declare_graph(bench, INSERT)
    run_id, messages = opened(bench)

    def overtaken(place: str) -> None:
        if place == "before-step-work:work":
            bench.expire_leases()
            assert bench.ledger.runs.claim_step(run_id, "work", lease_seconds=60, worker="other:2") is not None

    with monkeypatch.context() as patch:
        patch.setattr(operators, "fault", overtaken)
        assert execute_step(bench.parts(), run_id=run_id, step="work") == []
    assert bench.value("SELECT count(*) FROM done") == 0
    bench.expire_leases()
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    assert bench.value("SELECT count(*) FROM done") == 1


def test_sql_of_a_cancelled_run_is_rolled_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark cannot be set any more, and nothing is committed without it."""
    declare_graph(bench, INSERT)
    run_id, _ = opened(bench)

    def cancelled(place: str) -> None:
        if place == "before-step-work:work":
            cancel_run(bench.parts(), run_id=run_id)

    monkeypatch.setattr(operators, "fault", cancelled)
    assert execute_step(bench.parts(), run_id=run_id, step="work") == []
    assert bench.value("SELECT count(*) FROM done") == 0
    assert bench.ledger.runs.get(run_id).state is RunState.CANCELLED


def test_a_plan_is_an_attempt_at_the_step(bench: Bench) -> None:
    """It is done when the shards are written, long before the step. A lost planner has a state of its own."""
    declare_graph(bench, scoring())
    run_id, _ = opened(bench)
    assert bench.ledger.runs.claim_step(run_id, STEP, lease_seconds=60, worker="dead:1") is not None
    bench.expire_leases()
    plan_step(bench.parts(), run_id=run_id, step=STEP)
    assert history(bench, run_id, STEP) == [("lost", "dead:1", VANISHED), ("done", "test:1", None)]


def test_every_attempt_at_a_shard_is_kept(bench: Bench) -> None:
    """One that met an error of the model, and one that ended well."""
    failed: list[int] = []

    def once(frame: pd.DataFrame) -> "pd.Series[Any]":
        if not failed:
            failed.append(1)
            raise TransientError("the model's server is away")
        return frame["body"].str.len()

    declare_graph(bench, scoring(model=FunctionModel(once, version="1")))
    run_id, _ = opened(bench)
    plan_step(bench.parts(parallelism=1), run_id=run_id, step=STEP)
    with pytest.raises(TransientError):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    away = "the model's server is away"
    assert history(bench, run_id, STEP, 0) == [("retried", "test:1", away), ("done", "test:1", None)]


def test_a_shard_that_loses_its_workers_is_split_in_the_history_too(bench: Bench) -> None:
    """Two lost attempts, the one that split it, and the good ones of its halves."""
    declare_graph(bench, scoring())
    run_id, _ = opened(bench)
    plan_step(bench.parts(parallelism=1), run_id=run_id, step=STEP)
    bench.claim(run_id, worker="dead:1")
    bench.expire_leases()
    bench.claim(run_id, worker="dead:2")
    assert bench.ledger.shards.lose(run_id, STEP, 0, worker="dead:2", cause=LossCause.KILLED, error="lost: signal 9")
    halves = predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert [(state, worker) for state, worker, _ in history(bench, run_id, STEP, 0)] == [
        ("lost", "dead:1"),
        ("lost", "dead:2"),
        ("split", "test:1"),
    ]
    assert bench.run_on(run_id, halves).predicted == 8
    assert [history(bench, run_id, STEP, index) for index in (1, 2)] == [[("done", "test:1", None)]] * 2
    bench.assert_exactly_once()


def test_a_shard_is_tried_again_as_its_step_says(bench: Bench) -> None:
    """For errors that Batchord raises over its model, as often as Retry allows; then the run is failed."""

    def wrong(frame: pd.DataFrame) -> Any:
        return frame["body"].str.len().iloc[:1]

    declare_graph(bench, scoring(model=FunctionModel(wrong, version="1"), retry=Retry(2)))
    run_id, _ = opened(bench)
    plan_step(bench.parts(parallelism=1), run_id=run_id, step=STEP)
    waits = []
    for _ in range(2):
        with pytest.raises(TransientError) as raised:
            predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
        waits.append(raised.value.wait)
    ended = predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert bench.run_on(run_id, ended).state is RunState.FAILED
    assert [state for state, _, _ in history(bench, run_id, STEP, 0)] == ["retried", "retried", "failed"]
    assert [wait is not None and low <= wait <= 2 * low for wait, low in zip(waits, (5, 10), strict=True)] == [True] * 2


def test_a_cancelled_run_leaves_no_attempt_open(bench: Bench) -> None:
    """That holds for shards and for steps."""
    declare_graph(bench, scoring(), Calls().step("behind", STEP))
    run_id, _ = opened(bench)
    plan_step(bench.parts(parallelism=1), run_id=run_id, step=STEP)
    bench.claim(run_id)
    cancel_run(bench.parts(), run_id=run_id)
    assert [state for state, _, _ in history(bench, run_id, STEP, 0)] == ["cancelled"]
    assert bench.value("SELECT count(*) FROM batchord.attempts WHERE state = 'running'") == 0


def test_no_attempt_is_open_when_a_run_has_ended(bench: Bench) -> None:
    """Each has its end and its time."""
    declare_graph(bench, Calls().failing("bad"), scoring(), Calls().step("after", "bad", STEP, join="always"))
    run = ran(bench)
    assert run.state is RunState.FAILED
    assert bench.sql("SELECT state FROM batchord.attempts WHERE state = 'running' OR finished_at IS NULL") == []
