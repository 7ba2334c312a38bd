"""All the ways in which a record can stand, each told by `batchord why`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from batchord import Branch, FunctionModel, Python
from batchord.core.calendar.schedules import after_pipeline, every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError, UnknownPipeline, UnknownStep
from batchord.core.run.runs import Kind, NewRun
from batchord.flow.begin.repair import repair_missing
from batchord.flow.begin.start import tick
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.predict.shard import predict_shard
from batchord.flow.upkeep.reset import reset
from batchord.flow.upkeep.switch import pause
from batchord.reports.why.inputs import InputReport
from batchord.reports.why.story import RecordState, StepStory, story_of
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, batch_of, length

BY_ARRIVAL = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")
WINDOWED = SqlSource(
    "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end", key="id"
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def why(bench: Bench, key: str, pipeline: str = ITEMS) -> StepStory:
    """The story of a record in a pipeline of one step."""
    (step,) = story_of(bench.parts(), pipeline=pipeline, key=key).steps
    return step


def broken(frame: Any) -> Any:
    """A model that does not work at all."""
    raise RuntimeError(f"the weights are gone, before {len(frame)} records")


def _picky(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"score": [float("inf")] * len(frame)}, index=frame.index)


@pytest.fixture
def predicted(bench: Bench) -> Bench:
    """Three predicted records, and the frontier at the last."""
    bench.insert(3)
    bench.declare()
    bench.run()
    bench.run()
    return bench


def test_a_prediction_is_told_with_its_provenance(bench: Bench) -> None:
    """Run, shard, attempts, worker, model, arrival and input."""
    bench.insert(3)
    bench.declare(source=BY_ARRIVAL)
    run_id, shards = bench.planned()
    bench.claim(run_id, worker="other:7")
    bench.expire_leases()
    bench.run_on(run_id, shards)

    step = why(bench, "2")

    assert (step.state, step.why, step.next, step.in_source) == (RecordState.PREDICTED, "", None, True)
    assert step.arrival == bench.value("SELECT created_at FROM records WHERE id = 2")
    outcome = step.outcome
    assert outcome is not None
    assert (outcome.run_id, outcome.shard, outcome.attempt, outcome.worker) == (run_id, 0, 2, "test:1")
    assert [(each.attempt, each.state, each.cause, each.worker) for each in step.attempts] == [
        (1, "lost", "vanished", "other:7"),
        (2, "done", None, "test:1"),
    ]
    assert step.model_version_now == outcome.model_version
    assert step.input == InputReport(then=outcome.input_digest, now=outcome.input_digest, changed=False)
    assert outcome.discovered_at is not None
    assert outcome.discovered_at <= outcome.at


def test_a_record_that_has_changed_since_keeps_its_prediction(predicted: Bench) -> None:
    """The digests say so. After an edit of the query they cannot."""
    predicted.sql("UPDATE records SET body = 'other' WHERE id = 2")
    report = why(predicted, "2").input
    assert report is not None
    assert report.changed
    assert report.then != report.now

    predicted.declare(source=SqlSource("SELECT id, upper(body) AS body FROM records", key="id"))
    report = why(predicted, "2").input
    assert report is not None
    assert (report.changed, report.unknown is None) == (None, False)


def test_a_predicted_record_that_was_deleted(predicted: Bench) -> None:
    """Its prediction stays."""
    predicted.sql("DELETE FROM records WHERE id = 2")
    step = why(predicted, "2")
    assert (step.state, step.in_source, step.input) == (RecordState.PREDICTED, False, None)


def test_a_predicted_record_whose_source_is_away(predicted: Bench) -> None:
    """What the ledger knows is told even so."""
    predicted.sql("ALTER TABLE records RENAME TO hidden")
    step = why(predicted, "2")
    assert (step.state, step.in_source) == (RecordState.PREDICTED, None)
    assert "hidden" not in str(step.source_error)
    assert "records" in str(step.source_error)
    unknown = why(predicted, "9")
    assert unknown.state is RecordState.UNKNOWN
    assert "its source could not be read" in unknown.why
    assert "records" in str(unknown.source_error)


def test_a_record_with_two_outcomes(predicted: Bench) -> None:
    """Against the rules: the newest is shown, and that there is another."""
    predicted.sql(
        "INSERT INTO batchord.predictions (pipeline, step, record_key, model_version, run_id, shard, attempt) "
        "SELECT pipeline, step, record_key, 'other', run_id, 0, 1 FROM batchord.predictions WHERE record_key = '2'"
    )
    step = why(predicted, "2")
    assert (step.outcomes, step.outcome is not None and step.outcome.model_version) == (2, "other")
    assert "2 outcomes" in str(step.next)


def test_a_prediction_of_a_pruned_run(predicted: Bench) -> None:
    """Only what the run knew is gone."""
    predicted.sql("DELETE FROM batchord.runs")
    step = why(predicted, "2")
    assert step.outcome is not None
    assert (step.state, step.outcome.kind, step.attempts) == (RecordState.PREDICTED, None, [])


def test_a_rejection_is_told_with_its_reason(bench: Bench) -> None:
    """And with the command that tries it again; whether its values would pass now is told as well."""
    bench.insert(2)
    bench.declare()
    run_id, shards = bench.planned()
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(rejected=[2]))
    bench.expire_leases()
    bench.run_on(run_id, shards)

    step = why(bench, "2")

    assert (step.state, step.why) == (RecordState.REJECTED, "bad: it is bad")
    assert f"`batchord retry {ITEMS} --key 2`" in str(step.next)
    assert step.input is not None
    assert (step.input.then, step.input.changed, step.input.refused) == (None, None, None)
    assert step.input.now is not None


def test_a_rejection_whose_reason_is_the_model_tells_nothing_of_the_input(bench: Bench) -> None:
    """The model got the record; one whose text is missing never came to it, and still would not."""
    bench.insert(2)
    bench.sql("UPDATE records SET body = NULL WHERE id = 1")
    bench.declare(FunctionModel(_picky, text="body"))
    bench.run()
    missing, refused = why(bench, "1"), why(bench, "2")
    assert (missing.state, refused.state) == (RecordState.REJECTED, RecordState.REJECTED)
    assert refused.input is None
    assert missing.input is not None
    assert str(missing.input.refused).startswith("missing-text: ")
    bench.sql("UPDATE records SET body = 'mended' WHERE id = 1")
    mended = why(bench, "1").input
    assert mended is not None
    assert (mended.refused, mended.unknown, mended.now is None) == (None, None, False)


def test_a_rejected_record_that_was_deleted_cannot_be_tried_again(bench: Bench) -> None:
    """So no advice is given."""
    bench.insert(1)
    bench.declare()
    run_id, _ = bench.planned()
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(rejected=[1]))
    bench.sql("DELETE FROM records")
    step = why(bench, "1")
    assert (step.state, step.in_source, step.next) == (RecordState.REJECTED, False, None)


def test_a_record_above_the_frontier_waits_for_the_next_slot(predicted: Bench) -> None:
    """With its time. Without a schedule, a person must start the run."""
    predicted.insert(1)
    step = why(predicted, "4")
    assert (step.state, step.next_run_at) == (RecordState.PENDING, None)
    assert step.next == f"{ITEMS} has no schedule: `batchord run {ITEMS}` starts one."

    _schedule(predicted, every(hours=1))
    step = why(predicted, "4")
    now = predicted.ledger.runs.now()
    assert step.next_run_at is not None
    assert now < step.next_run_at <= now + timedelta(hours=1)
    assert f"{step.next_run_at:%Y-%m-%d %H:%M:%S}" in str(step.next)


def test_a_record_of_a_paused_pipeline(predicted: Bench) -> None:
    """Until it is resumed, or somebody starts a run."""
    predicted.insert(1)
    _schedule(predicted, every(hours=1))
    pause(predicted.parts(), pipeline=ITEMS, paused=True)
    step = why(predicted, "4")
    assert (step.state, step.next_run_at) == (RecordState.PENDING, None)
    assert "items is paused since" in str(step.next)
    assert "`batchord resume items`" in str(step.next)


def test_a_record_of_a_pipeline_that_follows_another(predicted: Bench) -> None:
    """The next run is an event's."""
    predicted.insert(1)
    _schedule(predicted, after_pipeline("imports"))
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
    _hourly(bench)
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


def test_a_key_that_the_query_gives_twice(bench: Bench) -> None:
    """It will be rejected."""
    bench.sql("CREATE TABLE twice (id int, body text)")
    bench.sql("INSERT INTO twice VALUES (7, 'a'), (7, 'b')")
    bench.declare(source=SqlSource("SELECT id, body FROM twice", key="id"))
    assert "the record will be rejected as duplicate-key" in why(bench, "7").why


@pytest.mark.parametrize(
    ("asked", "near"),
    [("'2'", ["2"]), (" 2 ", ["2"]), ("02x", []), ("+2", ["2"]), ("1,002", ["1002"]), ("99", []), ("abc", [])],
)
def test_a_key_that_nobody_knows(predicted: Bench, asked: str, near: list[str]) -> None:
    """Keys that it may stand for are named."""
    predicted.sql("INSERT INTO records (id, body) VALUES (1002, 'far')")
    story = story_of(predicted.parts(), pipeline=ITEMS, key=asked)
    if story.is_known:  # PostgreSQL itself reads the text as the number
        assert story.key in near
    else:
        assert (story.steps[0].state, list(story.near)) == (RecordState.NOT_FOUND, near)


@pytest.mark.parametrize(
    ("kind", "value", "asked", "key"),
    [
        ("text", "'7'", "7", "7"),
        ("text", "'O''Neil #1'", "O'Neil #1", "O'Neil #1"),
        ("char(5)", "'ab'", "ab", "ab"),
        ("char(5)", "'ab'", "ab   ", "ab"),
        ("numeric", "1.50", "1.5", "1.50"),
        ("timestamptz", "'2026-03-01 12:00+01'", "2026-03-01 11:00:00+00", "2026-03-01 11:00:00+00"),
        ("uuid", "'00000000-0000-7000-8000-00000000000A'", "00000000-0000-7000-8000-00000000000a", None),
        ("text", "repeat('x', 600)", "x" * 600, None),
        ("text", "repeat('x', 600)", None, None),
    ],
)
def test_keys_of_all_types_are_found(bench: Bench, kind: str, value: str, asked: str | None, key: str | None) -> None:
    """As the ledger writes them, or as a person writes the value."""
    bench.sql(f"CREATE TABLE typed (id {kind}, body text)")
    bench.sql(f"INSERT INTO typed VALUES ({value}, 'x')")  # noqa: S608
    bench.declare(source=SqlSource("SELECT id, body FROM typed", key="id", settle=timedelta(0)))
    before = asked if asked is None else why(bench, asked)
    assert before is None or before.state is RecordState.PENDING
    bench.run()
    written = bench.value("SELECT record_key FROM batchord.predictions")
    story = story_of(bench.parts(), pipeline=ITEMS, key=asked or written)
    assert (story.steps[0].state, story.steps[0].in_source) == (RecordState.PREDICTED, True)
    assert story.key == (key or written)


def test_a_key_of_several_columns_is_found(bench: Bench) -> None:
    """PostgreSQL reads no text as such a row, so its keys are compared as texts."""
    bench.sql("CREATE TABLE pairs (a int, b text)")
    bench.sql("INSERT INTO pairs VALUES (1, 'x'), (2, 'y')")
    bench.declare(source=SqlSource("SELECT ROW(a, b) AS id, b AS body FROM pairs", key="id", settle=timedelta(0)))
    assert why(bench, "(2,y)").state is RecordState.PENDING
    story = story_of(bench.parts(), pipeline=ITEMS, key="(2, y)")
    assert (story.steps[0].state, story.near) == (RecordState.NOT_FOUND, ["(2,y)"])


def test_each_predict_step_tells_its_own(predicted: Bench) -> None:
    """One of them can be chosen. A pipeline without records says so."""
    steps = [Predict(name, source=RECORDS, model=length) for name in (STEP, "second")]
    predicted.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=steps)
    parts = predicted.parts()
    states = {step.step: step.state for step in story_of(parts, pipeline=ITEMS, key="2").steps}
    assert states == {STEP: RecordState.PREDICTED, "second": RecordState.PENDING}
    (second,) = story_of(parts, pipeline=ITEMS, key="2", step="second").steps
    assert second.step == "second"
    predicted.catalog.pipelines["plain"] = Pipeline("plain", steps=[Python("load", print)])
    with pytest.raises(ConfigurationError, match="plain has no Predict step"):
        story_of(parts, pipeline="plain", key="2")
    with pytest.raises(UnknownStep):
        story_of(parts, pipeline=ITEMS, key="2", step="third")
    with pytest.raises(UnknownPipeline):
        story_of(parts, pipeline="nobody", key="2")


def test_programs_get_every_field(predicted: Bench) -> None:
    """Numbers and times as they are."""
    told = story_of(predicted.parts(), pipeline=ITEMS, key="2").as_json()
    assert list(told) == ["pipeline", "key", "steps", "near"]
    (step,) = told["steps"]
    assert set(step) == {
        *("step", "state", "why", "next", "next_run_at", "arrival_column", "arrival", "in_source", "source_error"),
        *("outcome", "outcomes", "attempts", "input", "model_version_now", "reset_at"),
    }
    assert step["outcome"]["record_key"] == "2"
    assert step["input"]["changed"] is False


def _schedule(bench: Bench, schedule: Any) -> None:
    step = Predict(STEP, source=RECORDS, model=length)
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, schedule=schedule, steps=[step])


def _hourly(bench: Bench) -> None:
    step = Predict(STEP, source=WINDOWED, model=length)
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, schedule=every(hours=1), steps=[step])
