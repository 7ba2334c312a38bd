"""Records without an outcome: `batchord why` tells which run will read each of them."""

from datetime import timedelta
from typing import Any

from batchord import Branch, Python
from batchord.core.calendar.schedules import after_pipeline, every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.run.runs import Kind, NewRun
from batchord.flow.begin.repair import repair_missing
from batchord.flow.begin.start import tick
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.predict.shard import predict_shard
from batchord.flow.upkeep.reset import reset
from batchord.flow.upkeep.switch import pause
from batchord.reports.why.story import RecordState
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length
from tests.unit.reports.told_records import BY_ARRIVAL, NOON, hourly, schedule_of, why


def broken(frame: Any) -> Any:
    """A model that does not work at all."""
    raise RuntimeError(f"the weights are gone, before {len(frame)} records")


def test_a_record_above_the_frontier_waits_for_the_next_slot(predicted: Bench) -> None:
    """With its time. Without a schedule, a person must start the run."""
    predicted.insert(1)
    step = why(predicted, "4")
    assert (step.state, step.next_run_at) == (RecordState.PENDING, None)
    assert step.next == f"{ITEMS} has no schedule: `batchord run {ITEMS}` starts one."

    schedule_of(predicted, every(hours=1))
    step = why(predicted, "4")
    now = predicted.ledger.runs.now()
    assert step.next_run_at is not None
    assert now < step.next_run_at <= now + timedelta(hours=1)
    assert f"{step.next_run_at:%Y-%m-%d %H:%M:%S}" in str(step.next)


def test_a_record_of_a_paused_pipeline(predicted: Bench) -> None:
    """Until it is resumed, or somebody starts a run."""
    predicted.insert(1)
    schedule_of(predicted, every(hours=1))
    pause(predicted.parts(), pipeline=ITEMS, paused=True)
    step = why(predicted, "4")
    assert (step.state, step.next_run_at) == (RecordState.PENDING, None)
    assert "items is paused since" in str(step.next)
    assert "`batchord resume items`" in str(step.next)


def test_a_record_of_a_pipeline_that_follows_another(predicted: Bench) -> None:
    """The next run is an event's."""
    predicted.insert(1)
    schedule_of(predicted, after_pipeline("imports"))
    assert why(predicted, "4").next == "The next run starts when a run of imports ends as succeeded."


def test_a_record_below_the_frontier_waits_for_the_audit(predicted: Bench) -> None:
    """No scheduled run reads it. Its time is told, and how not to wait."""
    predicted.sql("INSERT INTO records (id, body) VALUES (-5, 'against the rules')")
    step = why(predicted, "-5")
    assert step.state is RecordState.MISSING
    assert "below the frontier" in step.why
    assert "04:17 UTC" in str(step.next)
    assert "`batchord audit items --repair`" in str(step.next)

    repair, _ = repair_missing(predicted.parts(), pipeline=ITEMS)
    step = why(predicted, "-5")
    assert step.state is RecordState.PENDING
    assert f"Run {repair.id[:8]}" in step.why


def test_a_record_whose_arrival_is_null(bench: Bench) -> None:
    """Never, until somebody corrects its row."""
    bench.insert(1)
    bench.sql("INSERT INTO records (body, created_at) VALUES ('nowhere', NULL)")
    bench.declare(source=BY_ARRIVAL)
    step = why(bench, "2")
    assert (step.state, step.arrival) == (RecordState.MISSING, None)
    assert "created_at is NULL" in step.why
    assert "Correct its row" in str(step.next)


def test_a_record_of_a_window_that_is_over(bench: Bench) -> None:
    """It came too late for the run of its window."""
    hourly(bench)
    bench.insert(1)
    bench.sql("UPDATE records SET created_at = %s", NOON.replace(hour=11, minute=30))
    (run,), messages = tick(bench.parts(), pipeline=ITEMS, now=NOON)
    bench.run_on(run.id, messages)
    bench.sql("INSERT INTO records (body, created_at) VALUES ('late', %s)", NOON.replace(hour=11, minute=40))
    step = why(bench, "2")
    assert step.state is RecordState.MISSING
    assert "windows up to 2026-03-01 12:00:00 UTC" in step.why

    bench.sql("INSERT INTO records (body, created_at) VALUES ('later', %s)", NOON + timedelta(hours=3))
    assert "before the window of the next run" in why(bench, "3").why

    bench.insert(1)
    assert (why(bench, "4").state, why(bench, "4").why) == (
        RecordState.PENDING,
        "The run of its window has not come yet.",
    )


def test_a_record_in_a_shard_of_a_run_at_work(bench: Bench) -> None:
    """Waiting for a worker, or being predicted, with the shard of two that holds it."""
    bench.declare(shard_rows=2)
    bench.insert(4)
    run_id, _ = bench.planned()
    assert "has it in shard 1, which waits for a worker" in why(bench, "3").why
    bench.claim(run_id, 1)
    for key in ("3", "4"):
        step = why(bench, key)
        assert step.state is RecordState.PENDING
        assert "is predicting it: shard 1, attempt 1, on test:1" in step.why
    assert "shard 0, which waits" in why(bench, "1").why


def test_a_record_in_a_half_of_a_split_shard(bench: Bench) -> None:
    """The half is named, not the shard that it was a part of."""
    bench.declare()
    bench.insert(4)
    run_id, _ = bench.planned()
    for _ in range(2):
        bench.claim(run_id)
        bench.expire_leases()
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert bench.column("SELECT state FROM batchord.shards ORDER BY index") == ["split", "pending", "pending"]
    assert "in shard 1" in why(bench, "2").why
    assert "in shard 2" in why(bench, "3").why


def test_a_record_of_a_run_that_has_not_been_planned(bench: Bench) -> None:
    """It reads every record that is there when it looks."""
    bench.declare()
    bench.insert(1)
    run = bench.started()
    step = why(bench, "1")
    assert step.state is RecordState.PENDING
    assert "is at work and will read it" in step.why
    assert run.id.startswith(str(step.next).split()[-1].rstrip("`."))


def test_a_record_of_a_queued_run(bench: Bench) -> None:
    """It waits behind the run at work, which was planned before the record arrived."""
    bench.declare()
    bench.insert(1)
    first, _ = bench.planned()
    bench.insert(1)
    assert why(bench, "2").why == "No run has read it yet. The next run will."
    bench.ledger.runs.open(
        NewRun(pipeline=ITEMS, kind=Kind.MANUAL, trigger="call", steps=bench.catalog.get(ITEMS).new_steps())
    )
    step = why(bench, "2")
    assert step.state is RecordState.PENDING
    assert " waits behind run " in step.why
    assert "will read it" in step.why
    assert first


def test_a_record_of_a_backlog(bench: Bench) -> None:
    """One run may not take all; its follow-up will."""
    bench.declare(shard_rows=1)
    bench.insert(3)
    bench.planned(max_shards=2)
    step = why(bench, "3")
    assert step.state is RecordState.PENDING
    assert "A follow-up run starts when it ends" in step.why


def test_a_record_that_a_failed_shard_left(bench: Bench) -> None:
    """The newest run met it; the next run tries again."""
    bench.declare(broken)
    bench.insert(2)
    bench.run()
    step = why(bench, "2")
    assert step.state is RecordState.PENDING
    assert "met it in shard 0, which ended as failed: " in step.why
    assert "the weights are gone" in step.why


def test_a_record_of_a_step_that_a_branch_did_not_choose(bench: Bench) -> None:
    """And of one that a failure before it stopped."""
    bench.insert(1)
    step = Predict(STEP, source=RECORDS, model=length, after=["choose"])
    other = Python("other", lambda: None, after=["choose"])
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=[Branch("choose", lambda: "other"), step, other])
    bench.run()
    assert "skipped the step: a branch chose other steps" in why(bench, "1").why

    def failing() -> None:
        raise ValueError("it broke")

    bench.catalog.pipelines[ITEMS] = Pipeline(
        ITEMS, steps=[Python("load", failing), Predict(STEP, source=RECORDS, model=length, after=["load"])]
    )
    bench.run()
    assert "did not come to the step, because a step before it failed" in why(bench, "1").why


def test_a_record_of_a_cancelled_run(bench: Bench) -> None:
    """The next run takes it."""
    bench.declare()
    bench.insert(1)
    run_id, _ = bench.planned()
    cancel_run(bench.parts(), run_id=run_id)
    step = why(bench, "1")
    assert step.state is RecordState.PENDING
    assert "ended as failed: cancelled by hand" in step.why


def test_a_record_of_a_step_that_was_reset(predicted: Bench) -> None:
    """Forgotten, and predicted again by the next run."""
    reset(predicted.parts(), pipeline=ITEMS, steps=[STEP])
    step = why(predicted, "2")
    assert (step.state, step.reset_at is None) == (RecordState.PENDING, False)
    assert "The step was reset at" in step.why
    predicted.run()
    predicted.insert(1)
    assert why(predicted, "4").why == "No run has read it yet. The next run will."
