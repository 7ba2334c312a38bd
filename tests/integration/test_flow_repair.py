"""Rejections that a person retries, and records that an audit finds missing, are predicted at any position."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from batchord.core.calendar.schedules import every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import UnknownPipeline
from batchord.core.run.messages import AlertsKept
from batchord.core.run.runs import Run, RunState
from batchord.flow.begin.repair import repair_missing, retry_rejections
from batchord.flow.begin.start import tick
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.predict.plan import plan_step
from batchord.flow.upkeep.audit import audit, audit_and_repair
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, batch_of, length


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Ten records, of which 2 and 3 are rejected as not finite and 4 as bytes; then the model is mended."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(10)
        bench.declare(broken)
        assert bench.run().rejected == 3
        bench.declare()
        bench.insert(2)
        assert [bench.run().predicted for _ in range(2)] == [2, 0], "the frontier is above the rejections"
        yield bench


def broken(frame: pd.DataFrame) -> pd.DataFrame:
    """Has no score for some, and bytes for one."""
    lengths = frame["body"].str.len()
    labels = [b"4" if count == 4 else str(count) for count in lengths]
    return pd.DataFrame({"label": labels, "score": lengths.where(~lengths.isin([2, 3]), float("inf"))})


def retry(bench: Bench, *, reason: str | None = None, keys: Sequence[str] | None = None) -> tuple[int, Run]:
    """Sends rejections again, and works the run off."""
    run, count, messages = retry_rejections(bench.parts(), pipeline=ITEMS, reason=reason, keys=keys)
    assert run is not None
    return count, bench.run_on(run.id, messages)


def rejected(bench: Bench) -> list[str]:
    """Keys of the records that are still rejected."""
    return bench.column("SELECT record_key FROM batchord.rejections ORDER BY record_key")


@pytest.mark.parametrize(
    ("reason", "keys", "left"),
    [
        (None, None, []),
        ("not-finite", None, ["4"]),
        ("bytes-output", None, ["2", "3"]),
        (None, ["3"], ["2", "4"]),
        (None, ["2", "4", "no such key"], ["3"]),
        ("not-finite", ["3", "4"], ["2", "4"]),
    ],
)
def test_rejections_are_predicted_again(
    bench: Bench, reason: str | None, keys: list[str] | None, left: list[str]
) -> None:
    """All, by reason, by key, or by both; the others stay as they are."""
    count, run = retry(bench, reason=reason, keys=keys)
    assert (run.state, run.kind, run.trigger) == (RunState.SUCCEEDED, "repair", "retry")
    assert count == run.discovered == run.predicted == 3 - len(left)
    assert rejected(bench) == left
    bench.assert_exactly_once()


@pytest.mark.parametrize(("reason", "keys"), [("no-such-reason", None), (None, ["1"]), (None, [])])
def test_nothing_to_take_back_opens_no_run(bench: Bench, reason: str | None, keys: list[str] | None) -> None:
    """A predicted key is not a rejection, and an empty list of keys does not mean all keys."""
    runs = len(bench.ledger.reports.runs())
    assert retry_rejections(bench.parts(), pipeline=ITEMS, reason=reason, keys=keys) == (None, 0, [])
    assert len(bench.ledger.reports.runs()) == runs
    assert rejected(bench) == ["2", "3", "4"]


def test_rejections_of_other_pipelines_stay(bench: Bench) -> None:
    """Only the pipeline that is named."""
    bench.declare(broken, name="others")
    bench.run("others")
    retry(bench)
    assert bench.column("SELECT DISTINCT pipeline FROM batchord.rejections") == ["others"]


def test_what_is_rejected_again_is_a_rejection_again(bench: Bench) -> None:
    """The cause was not mended: nothing is lost by trying."""
    bench.declare(broken)
    count, run = retry(bench)
    assert (count, run.predicted, run.rejected) == (3, 0, 3)
    assert rejected(bench) == ["2", "3", "4"]
    bench.assert_exactly_once()


def test_a_repair_waits_for_the_run_at_work(bench: Bench) -> None:
    """And is started by its end."""
    bench.insert(1)
    first, shards = bench.planned()
    run, count, messages = retry_rejections(bench.parts(), pipeline=ITEMS)
    assert run is not None
    assert (run.state, count, messages) == (RunState.QUEUED, 3, [])
    bench.run_on(first, shards)
    assert bench.ledger.runs.get(run.id).predicted == 3
    bench.assert_exactly_once()


def test_what_a_run_at_work_rejects_is_not_taken_back(bench: Bench) -> None:
    """It counts on its rejections; they are for the next retry."""
    bench.insert(1)
    first, shards = bench.planned()
    bench.ledger.shards.commit(bench.claim(first), batch_of(rejected=[13]))
    run, count, _ = retry_rejections(bench.parts(), pipeline=ITEMS)
    assert run is not None
    assert (count, rejected(bench)) == (3, ["13"])
    assert bench.run_on(first, shards).state is RunState.SUCCEEDED
    assert bench.ledger.runs.get(run.id).predicted == 3
    assert retry(bench)[0] == 1
    bench.assert_exactly_once()


def test_an_unknown_pipeline_changes_nothing(bench: Bench) -> None:
    """The rejections of a pipeline whose file is gone stay for when it comes back."""
    bench.catalog.pipelines.clear()
    with pytest.raises(UnknownPipeline):
        retry_rejections(bench.parts(), pipeline=ITEMS)
    assert rejected(bench) == ["2", "3", "4"]


def test_a_repair_leaves_the_frontier_where_it_was_or_higher(bench: Bench) -> None:
    """It scans the whole source, and the next ordinary run does not."""
    before = bench.value("SELECT position FROM batchord.frontiers")
    retry(bench)
    assert bench.run().discovered == 0
    assert bench.value("SELECT position FROM batchord.frontiers")[1] >= before[1]


def test_a_repair_larger_than_a_run_goes_on_until_all_is_done(bench: Bench) -> None:
    """Its rest lies below the frontier as well."""
    bench.declare(shard_rows=1)
    run, _, messages = retry_rejections(bench.parts(max_shards=2), pipeline=ITEMS)
    assert run is not None
    bench.run_on(run.id, messages, max_shards=2)
    bench.assert_exactly_once()


def test_what_an_audit_finds_missing_is_predicted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Log and alert name the keys; a second audit finds nothing and opens no run."""
    bench.forget("1", "7")
    bench.sql("INSERT INTO records (id, body) VALUES (-5, 'against the rules')")
    with caplog.at_level(logging.ERROR):
        messages = audit_and_repair(bench.parts(), pipeline=ITEMS)
    said = "The audit of items found 3 records missing, 0 duplicated: {'missing': ['-5', '1', '7']}"
    assert said in caplog.text
    assert bench.column("SELECT message FROM batchord.alerts") == [f"{said}\nLook closer: batchord audit {ITEMS}"]
    assert messages[0] == AlertsKept()
    run = bench.ledger.reports.runs()[0]
    assert (run.kind, run.trigger) == ("repair", "audit")
    assert bench.run_on(run.id, messages).predicted == 3
    assert audit(bench.parts(), pipeline=ITEMS)[0].clean
    assert audit_and_repair(bench.parts(), pipeline=ITEMS) == []
    bench.assert_exactly_once()


def test_duplicates_are_reported_and_left_alone(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A person must decide which of the two is right. No run could repair it."""
    bench.insert_earlier(
        "SELECT pipeline, step, record_key, 'other', run_id, shard, attempt FROM batchord.predictions "
        "WHERE record_key = '1'"
    )
    runs = len(bench.ledger.reports.runs())
    with caplog.at_level(logging.ERROR):
        assert audit_and_repair(bench.parts(), pipeline=ITEMS) == [AlertsKept()], "no run"
    assert "0 records missing, 1 duplicated" in caplog.text
    assert len(bench.ledger.reports.runs()) == runs


def test_people_are_alerted_of_an_audit_once_a_day(bench: Bench) -> None:
    """For any number of audits. A record that cannot be predicted is reported and starts no run."""
    bench.sql("CREATE TABLE nameless AS SELECT id, body FROM records")
    bench.declare(source=replace(RECORDS, sql="SELECT id, body FROM nameless"))
    bench.run()
    bench.sql("INSERT INTO nameless VALUES (NULL, 'who')")
    for _ in range(2):
        assert audit_and_repair(bench.parts(), pipeline=ITEMS) == [AlertsKept()], "no run"
    (event,) = bench.column("SELECT event FROM batchord.alerts")
    assert event.startswith(f"audit:{ITEMS}:")


def test_an_audit_during_a_run_repairs_nothing(bench: Bench) -> None:
    """The record's turn may be now; the next audit sees."""
    bench.forget("1")
    bench.planned()
    assert audit_and_repair(bench.parts(), pipeline=ITEMS) == []


def test_a_repair_of_a_windowed_source_reads_all_windows(bench: Bench) -> None:
    """What is missing or rejected lies in windows that are over."""
    sql = "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end"
    step = Predict(STEP, source=replace(RECORDS, sql=sql), model=length)
    bench.catalog.pipelines["hourly"] = Pipeline("hourly", schedule=every(hours=1), steps=[step])
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    bench.sql("UPDATE records SET created_at = %s", noon.replace(hour=11, minute=30))
    (run,), messages = tick(bench.parts(), pipeline="hourly", now=noon)
    assert bench.run_on(run.id, messages).predicted == 12
    bench.forget("1", pipeline="hourly")
    repair, messages = repair_missing(bench.parts(), pipeline="hourly")
    ended = bench.run_on(repair.id, messages)
    assert (ended.state, ended.predicted) == (RunState.SUCCEEDED, 1), ended.error


@pytest.mark.parametrize("planned", [False, True])
def test_the_next_run_takes_what_a_cancelled_repair_left(bench: Bench, *, planned: bool) -> None:
    """The rejections are taken back by then: no record is without an outcome for good."""
    run, _, _ = retry_rejections(bench.parts(), pipeline=ITEMS)
    assert run is not None
    if planned:
        plan_step(bench.parts(), run_id=run.id, step=STEP)
    cancel_run(bench.parts(), run_id=run.id)
    assert bench.run().predicted == 3
    bench.assert_exactly_once()


def test_a_repair_reads_the_source_as_it_is_declared_now(bench: Bench) -> None:
    """The mended part may be the SQL."""
    sql = "SELECT id, coalesce(body, '') || '!' AS body FROM records"
    bench.declare(source=SqlSource(sql, key="id"))
    assert retry(bench)[1].predicted == 3
    assert bench.outcomes()["4"] == 5
