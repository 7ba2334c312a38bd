"""One run, with its steps, its shards, and the attempts at them."""

from datetime import timedelta

import pandas as pd

from batchord import Python
from batchord.core.declared.retries import Retry
from batchord.core.run.runs import RunState
from batchord.reports.run import RunDetail, detail_of, outcome_of
from tests.integration.flow_parts import STEP, Bench
from tests.integration.graph_parts import Calls, bash, declare_graph, opened, scoring


def detail(bench: Bench, run_id: str) -> RunDetail:
    """All of a run as it is now."""
    return detail_of(bench.ledger, bench.ledger.runs.get(run_id))


def broken(frame: pd.DataFrame) -> "pd.Series[float]":
    """A model that always raises the same."""
    raise ValueError(f"no price list in {list(frame.columns)}")


def test_a_run_that_went_well_has_no_troubles(bench: Bench) -> None:
    """Its steps and shards are there, in order."""
    bench.insert(4)
    declare_graph(bench, scoring(), Calls().step("report", STEP, returns={"good": 4}))
    run_id, messages = opened(bench)
    bench.run_on(run_id, messages)

    run = detail(bench, run_id)

    assert [(step.name, step.note or step.value) for step in run.steps] == [
        (STEP, "4 predicted, 0 rejected"),
        ("report", '{"good": 4}'),
    ]
    assert [(shard.step, shard.index, shard.predicted) for shard in run.shards] == [(STEP, 0, 4)]
    assert (run.troubles, [step.executed for step in run.steps]) == ([], [1, 1])
    assert run.outcome.predicts


def test_equal_attempts_stand_together(bench: Bench) -> None:
    """Four shards that fail alike, each on records of its own, are one fault."""
    bench.insert(40)
    bench.declare(broken, shard_rows=10, retry=Retry(1, base=timedelta(0)))
    failed = bench.run()
    assert failed.state is RunState.FAILED

    run = detail(bench, failed.id)

    groups = {(group.step, group.shards, group.numbers, group.state): len(group.attempts) for group in run.troubles}
    assert groups == {(STEP, "0-3", "1", "retried"): 4, (STEP, "0-3", "2", "failed"): 4}
    assert all("no price list" in (group.error or "") for group in run.troubles)
    assert set(run.shard_errors) == {None}, "the attempts show them"
    assert [run.is_told_by_step(group) for group in run.troubles] == [True, True], "the step has the first one's"
    assert [run.is_told_by_run(step) for step in run.steps] == [True]
    assert all(shard.error for shard in run.shards)


def test_a_step_that_was_not_run_again_has_one_attempt(bench: Bench) -> None:
    """It was claimed a second time only to end it as failed, since nobody knows what it did."""
    declare_graph(bench, bash("work", "exit 0"))
    run_id, messages = opened(bench)
    lease = bench.ledger.runs.claim_step(run_id, "work", lease_seconds=60, worker="dead:1")
    assert lease is not None
    assert bench.ledger.runs.begin_step(lease)
    bench.expire_leases()
    bench.run_on(run_id, messages)

    (step,) = detail(bench, run_id).steps

    assert (step.state, step.attempt, step.executed) == ("failed", 2, 1)


def test_a_step_that_was_run_again_has_as_many_attempts(bench: Bench) -> None:
    """As often as it began."""
    declare_graph(bench, bash("work", "exit 1", retry=Retry(2, base=timedelta(0))))
    run_id, messages = opened(bench)
    bench.run_on(run_id, messages)

    report = detail(bench, run_id)
    (step,) = report.steps

    assert (step.state, step.attempt, step.executed) == ("failed", 3, 3)
    shown = [(group.numbers, report.is_told_by_step(group)) for group in report.troubles]
    assert shown == [("1-2", True), ("3", True)]


def test_the_attempt_that_gives_a_step_up_is_not_one_more(bench: Bench) -> None:
    """It was lost three times, and claimed a fourth time only to end it."""
    declare_graph(bench, Python("work", lambda: None))
    run_id, messages = opened(bench)
    for _ in range(3):
        assert bench.ledger.runs.claim_step(run_id, "work", lease_seconds=60, worker="dead:1") is not None
        bench.expire_leases()
    bench.run_on(run_id, messages, max_attempts=3)

    (step,) = detail(bench, run_id).steps

    assert (step.state, step.attempt, step.executed, step.executed_times) == ("failed", 4, 3, "3x")


def test_an_open_window_has_no_start(bench: Bench) -> None:
    """The first run by hand of a pipeline without a schedule looks back to the beginning of time."""
    bench.declare()
    run = bench.run()

    fields = detail(bench, run.id).as_json()

    assert run.window_start is not None
    assert fields["window_start"] is None
    assert fields["window_end"] == run.window_end


def test_programs_get_every_field(bench: Bench) -> None:
    """Those of the run first; each step, shard and attempt as the ledger has it."""
    bench.insert(1)
    bench.declare()
    run = bench.run()

    fields = detail(bench, run.id).as_json()

    more = [
        "counts",
        "window_start",
        "window_end",
        "rerun_of",
        "models",
        "params",
        "summary",
        "error",
        "waits",
        "resets",
        "steps",
        "shards",
    ]
    assert list(fields)[12:] == [*more, "attempts"]
    assert fields["steps"] == bench.ledger.reports.steps(run.id)
    assert fields["shards"] == bench.ledger.reports.shards(run.id)
    assert fields["attempts"] == bench.ledger.reports.attempts(run.id)


def test_a_run_without_predict_steps_has_no_counts(bench: Bench) -> None:
    """One with a Predict step that found nothing has."""
    declare_graph(bench, Calls().step("work"), name="plain")
    run_id, messages = opened(bench, "plain")
    plain = bench.run_on(run_id, messages)
    bench.declare()

    assert not outcome_of(plain).predicts
    assert outcome_of(bench.run()).predicts
