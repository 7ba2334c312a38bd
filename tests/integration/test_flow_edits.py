"""A file is edited in the middle of a run: nothing mixes two versions, and a follow-up run goes on at once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchord import Bash, FunctionModel, Python
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import TransientError
from batchord.core.run.messages import BacklogLeft, RunEnded, StepEnded
from batchord.core.run.runs import Run, RunState
from batchord.flow.drive.finish import finish_step
from batchord.flow.parts import Parts
from batchord.flow.predict.plan import plan_step
from batchord.flow.predict.shard import predict_shard
from batchord.flow.step.execute import execute_step
from batchord.flow.upkeep.recover import sweep
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length
from tests.integration.graph_parts import Calls, declare_graph, opened, scoring, states

if TYPE_CHECKING:
    import pandas as pd

OLD, NEW = FunctionModel(length, version="1"), FunctionModel(length, version="2")
RENAMED = Pipeline(ITEMS, steps=[Predict("renamed", source=RECORDS, model=length)])


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Twelve records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        bench.declare(OLD)
        yield bench


def _runs(bench: Bench) -> list[Run]:
    return [bench.ledger.runs.get(str(key)) for key in bench.column("SELECT id FROM batchord.runs ORDER BY created_at")]


def _versions(bench: Bench) -> dict[str, int]:
    return dict(bench.sql("SELECT model_version, count(*)::int FROM batchord.predictions GROUP BY 1"))


def _since(bench: Bench, moment: datetime) -> Parts:
    """The parts of a worker that took up its code at that time."""
    return replace(bench.parts(max_attempts=3), code_since=moment)


def _taught(frame: "pd.DataFrame") -> "pd.Series[Any]":
    return length(frame) * 2


@pytest.mark.parametrize(
    "edit",
    [
        {"model": NEW},
        {"model": _taught},
        {"model": OLD, "source": replace(RECORDS, sql=f"{RECORDS.sql} WHERE id > 0")},
        {"model": replace(OLD, empty="predict")},
    ],
)
def test_an_edit_after_the_plan_leaves_the_step_to_a_follow_up_run(bench: Bench, edit: dict[str, Any]) -> None:
    """There is no alert, because an edit is not a fault."""
    run_id, messages = bench.planned()
    bench.declare(**edit)

    ended = bench.run_on(run_id, messages)

    assert (ended.state, states(bench, run_id)) == (RunState.PARTIAL, {STEP: "code-changed"})
    assert "code-changed" in (ended.error or "")
    follow_up = _runs(bench)[1]
    assert (follow_up.kind, follow_up.state, follow_up.predicted) == ("follow-up", RunState.SUCCEEDED, 12)
    assert len(_versions(bench)) == 1
    assert bench.value("SELECT count(*) FROM batchord.alerts") == 0
    assert bench.value("SELECT count(*) FROM batchord.incidents") == 0
    bench.assert_exactly_once()


def test_what_was_predicted_before_the_edit_stays(bench: Bench) -> None:
    """Each record once, by one of the two versions; each run by one alone."""
    bench.declare(OLD, shard_rows=4)
    run_id, (shards,) = bench.planned()
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    bench.declare(NEW, shard_rows=4)

    ended = bench.run_on(run_id, [shards])

    assert (ended.state, ended.discovered, ended.predicted) == (RunState.PARTIAL, 12, 4)
    assert _versions(bench) == {"length@1": 4, "length@2": 8}
    assert {run.id: run.predicted for run in _runs(bench)[1:]} == {_runs(bench)[1].id: 8}
    bench.assert_exactly_once()


def test_what_an_edit_does_not_concern_goes_on(bench: Bench) -> None:
    """Another schedule, shard size or description does not change the code."""
    run_id, messages = bench.planned()
    bench.declare(OLD, shard_rows=3, batch_rows=2)

    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    assert len(_runs(bench)) == 1


def test_a_follow_up_run_repeats_no_command_that_is_done(bench: Bench) -> None:
    """It goes on from the step that was cut short, with the run's parameters; what lies behind runs once."""
    calls = Calls()
    after = [calls.step("behind", STEP), Python("always", calls.step("always").function, after=[STEP], join="always")]
    declare_graph(bench, calls.step("first"), scoring("first", model=OLD), *after)
    run_id, messages = opened(bench, params={"day": "monday"})
    messages = execute_step(bench.parts(), run_id=run_id, step="first")
    messages = plan_step(bench.parts(), run_id=run_id, step=STEP)
    declare_graph(bench, calls.step("first"), scoring("first", model=NEW), *after)

    bench.run_on(run_id, messages)

    run, follow_up = _runs(bench)
    assert states(bench, run.id) == {
        "first": "done", STEP: "code-changed", "behind": "upstream_failed", "always": "done",
    }  # fmt: skip
    assert set(states(bench, follow_up.id).values()) == {"done"}
    assert calls.made == ["first", "always", "behind", "always"]
    assert follow_up.params == {"day": "monday"}
    assert (follow_up.state, follow_up.predicted) == (RunState.SUCCEEDED, 12)


def test_a_follow_up_run_whose_message_is_lost_is_found(bench: Bench) -> None:
    """The ledger shows that it is missing. Each run gets one follow-up run."""
    run_id, messages = bench.planned()
    bench.declare(NEW)
    parts = bench.parts()
    for index in range(len(messages[0].indexes)):  # type: ignore[union-attr]  # shards are ready
        assert StepEnded(run_id=run_id, step=STEP) in predict_shard(parts, run_id=run_id, step=STEP, index=index)
    said = finish_step(parts, run_id=run_id, step=STEP)

    backlog = BacklogLeft(pipeline=ITEMS, after_run=run_id)
    assert said == [RunEnded(run_id=run_id, pipeline=ITEMS, state=RunState.PARTIAL), backlog]
    assert sweep(parts, older_than_seconds=0) == [backlog]
    for _ in range(2):
        bench.run_on(run_id, [backlog])
    assert [run.predicted for run in _runs(bench)] == [0, 12]
    assert sweep(parts, older_than_seconds=0) == []


def test_a_repair_that_an_edit_cuts_short_still_reads_the_whole_source(bench: Bench) -> None:
    """The records that it looks for lie below the frontier."""
    bench.run()
    bench.run()
    bench.forget("3")
    assert bench.run().discovered == 0
    repair = bench.started()
    bench.sql("UPDATE batchord.runs SET full_scan = true WHERE id = %s", repair.id)
    messages = plan_step(bench.parts(), run_id=repair.id, step=STEP)
    bench.declare(NEW)

    bench.run_on(repair.id, messages)

    assert [(run.full_scan, run.predicted) for run in _runs(bench)[-2:]] == [(True, 0), (True, 1)]
    bench.assert_exactly_once()


def test_a_worker_whose_code_is_older_than_the_plan_hands_the_shard_back(bench: Bench) -> None:
    """During a deploy another worker may have the code. If no worker has it, the run fails and says why."""
    run_id, messages = bench.planned(parallelism=1)
    bench.declare(NEW)
    parts = _since(bench, datetime.now(UTC) - timedelta(hours=1))

    for _ in range(2):
        with pytest.raises(TransientError, match="planned with code that differs from this worker's"):
            predict_shard(parts, run_id=run_id, step=STEP, index=0)
    bench.declare(OLD)
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED

    bench.insert(1)
    run_id, messages = bench.planned(parallelism=1)
    bench.declare(NEW)
    for _ in range(2):
        with pytest.raises(TransientError):
            predict_shard(parts, run_id=run_id, step=STEP, index=0)
    predict_shard(parts, run_id=run_id, step=STEP, index=0)
    bench.run_on(run_id, [StepEnded(run_id=run_id, step=STEP)])
    ended = bench.ledger.runs.get(run_id)
    assert (ended.state, len(_runs(bench))) == (RunState.FAILED, 2)
    assert "Bring the same files to all machines" in (ended.error or "")


def test_a_step_that_an_edit_renamed_is_left_to_a_follow_up_run_at_once(bench: Bench) -> None:
    """Before its plan and after it."""
    parts = _since(bench, datetime.now(UTC) + timedelta(minutes=1))
    before_plan = bench.started()
    bench.catalog.pipelines[ITEMS] = RENAMED
    bench.run_on(before_plan.id, plan_step(parts, run_id=before_plan.id, step=STEP))
    assert states(bench, before_plan.id) == {STEP: "code-changed"}
    assert [(run.state, run.predicted) for run in _runs(bench)] == [(RunState.PARTIAL, 0), (RunState.SUCCEEDED, 12)]

    bench.declare(OLD)
    bench.sql(f"DELETE FROM {bench.table(step='renamed')}")  # noqa: S608
    bench.sql("DELETE FROM batchord.frontiers")
    after_plan, _ = bench.planned(parallelism=1)
    bench.catalog.pipelines[ITEMS] = RENAMED
    bench.run_on(after_plan, predict_shard(parts, run_id=after_plan, step=STEP, index=0))
    assert states(bench, after_plan) == {STEP: "code-changed"}
    assert bench.value("SELECT count(*) FROM batchord.alerts") == 0
    bench.assert_exactly_once()


def test_a_command_that_an_edit_removed_is_left_to_a_follow_up_run(bench: Bench) -> None:
    """Where it did not begin yet; the step of its place runs in the follow-up."""
    declare_graph(bench, Bash("old", "exit 3"))
    run_id, _ = opened(bench)
    declare_graph(bench, Bash("new", "exit 0"))

    bench.run_on(
        run_id, execute_step(_since(bench, datetime.now(UTC) + timedelta(minutes=1)), run_id=run_id, step="old")
    )

    assert [states(bench, run.id) for run in _runs(bench)] == [{"old": "code-changed"}, {"new": "done"}]


def test_a_shard_that_failed_by_itself_fails_the_step_whatever_was_edited(bench: Bench) -> None:
    """That is a fault and raises an alert."""

    def broken(_: "pd.DataFrame") -> "pd.Series[Any]":
        raise ValueError("no")

    bench.declare(FunctionModel(broken, version="1"), shard_rows=4)
    run_id, (shards,) = bench.planned()
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    bench.declare(NEW, shard_rows=4)

    ended = bench.run_on(run_id, [shards])

    assert (ended.state, states(bench, run_id)) == (RunState.FAILED, {STEP: "failed"})
    assert bench.value("SELECT count(*) FROM batchord.alerts") == 1
