"""The audit reads every record without assumptions. The preview shows what a run would do and changes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batchord.core.calendar.schedules import every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError
from batchord.flow.begin.preview import preview
from batchord.flow.begin.start import tick
from batchord.flow.upkeep.audit import Audit, as_json, audit
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length

BY_ARRIVAL = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline over ten records, all of them predicted, and its frontier at the last."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(10)
        bench.declare()
        bench.run()
        bench.run()
        yield bench


def look(bench: Bench) -> tuple[Audit, dict[str, list[str]]]:
    """Audits the pipeline."""
    return audit(bench.parts(), pipeline=ITEMS)


def counts(**found: int) -> Audit:
    """What the audit should count."""
    return Audit(**found)


def test_all_is_well_when_every_record_has_one_outcome(bench: Bench) -> None:
    """Predicted or rejected, and nothing else to say."""
    bench.sql("INSERT INTO records (body) VALUES (NULL)")
    bench.declare(_strict)
    bench.run()
    found, examples = look(bench)
    assert found.clean
    assert as_json(found) == {
        "records": 11, "predicted": 10, "rejected": 1, "pending": 0, "missing": 0, "duplicated": 0,
        "not_audited": {},
    }  # fmt: skip
    assert examples == {}


def _strict(frame: Any) -> Any:
    if frame["body"].isna().any():
        raise ValueError("no text")
    return frame["body"].str.len()


def test_a_record_above_the_frontier_is_pending(bench: Bench) -> None:
    """The next run takes it."""
    bench.insert(3)
    assert look(bench) == (counts(records=13, predicted=10, pending=3), {})
    bench.run()
    assert look(bench)[0].clean


def test_a_record_below_the_frontier_without_an_outcome_is_missing(bench: Bench) -> None:
    """Somebody deleted its prediction, or wrote it against the rules: no run looks there again."""
    bench.forget("3", "10")
    bench.sql("INSERT INTO records (id, body) VALUES (-5, 'against the rules')")
    bench.insert(1)
    found, examples = look(bench)
    assert found == counts(records=12, predicted=8, pending=1, missing=3)
    assert examples == {"missing": ["-5", "3", "10"]}
    assert not found.clean


def test_nothing_is_missing_while_a_run_is_open(bench: Bench) -> None:
    """Its turn may be now; when the run has ended without it, it is missing."""
    bench.forget("3")
    run_id, messages = bench.planned()
    assert look(bench) == (counts(records=10, predicted=9, pending=1), {})
    bench.run_on(run_id, messages)
    assert look(bench)[0].missing == 1


def test_nothing_is_missing_before_there_is_a_frontier(bench: Bench) -> None:
    """Without one every run scans everything."""
    bench.sql("DELETE FROM batchord.frontiers")
    bench.forget("3")
    assert look(bench)[0] == counts(records=10, predicted=9, pending=1)


def test_two_outcomes_of_one_record_are_duplicated(bench: Bench) -> None:
    """Predictions of two model versions, and a prediction beside a rejection."""
    bench.insert_earlier(
        "SELECT pipeline, step, record_key, 'other', run_id, shard, attempt FROM batchord.predictions "
        "WHERE record_key = '4'"
    )
    bench.sql(
        "INSERT INTO batchord.rejections "
        "(pipeline, step, record_key, model_version, reason, detail, attempts, run_id, shard) "
        "SELECT pipeline, step, record_key, model_version, 'bad', 'it is bad', 1, run_id, shard "
        "FROM batchord.predictions WHERE record_key = '7'"
    )
    found, examples = look(bench)
    assert found == counts(records=10, predicted=10, rejected=1, duplicated=2)
    assert examples == {"duplicated": ["4", "7"]}


def test_records_that_cannot_be_identified_are_missing(bench: Bench) -> None:
    """A NULL key has no position: no run will ever see it."""
    bench.sql("CREATE TABLE nameless AS SELECT id, body FROM records")
    bench.declare(source=replace(RECORDS, sql="SELECT id, body FROM nameless"))
    bench.run()
    bench.sql("INSERT INTO nameless VALUES (NULL, 'who'), (NULL, 'am I')")
    found, examples = look(bench)
    assert found == counts(records=12, predicted=10, missing=2, without_position=2)
    assert examples == {"missing": ["2 records whose id is NULL"]}


def test_records_without_an_arrival_are_missing(bench: Bench) -> None:
    """They have no place in the order: no run looks at them, wherever the frontier stands."""
    bench.declare(source=BY_ARRIVAL)
    bench.sql("UPDATE records SET created_at = now() - interval '1 hour'")
    bench.run()
    bench.run()
    bench.sql("INSERT INTO records (body, created_at) VALUES ('undated', NULL), ('new', now())")
    found, examples = look(bench)
    assert found == counts(records=12, predicted=10, pending=1, missing=1, without_position=1)
    assert examples == {"missing": ["11"]}


def test_the_key_may_be_named_as_the_arrival_too(bench: Bench) -> None:
    """It orders the records either way: none of them is undated."""
    bench.declare(source=SqlSource("SELECT id, body FROM records", key="id", arrival="id"))
    bench.run()
    bench.run()
    bench.insert(3)
    assert look(bench) == (counts(records=13, predicted=10, pending=3), {})


def test_examples_are_bounded_and_counts_are_complete(bench: Bench) -> None:
    """Twenty keys are named, however many are missing."""
    bench.sql("INSERT INTO records (id, body) SELECT -n, 'x' FROM generate_series(1, 50) AS n")
    found, examples = look(bench)
    assert found.missing == 50
    assert examples["missing"] == [str(key) for key in range(-50, -30)]


def test_windows_that_are_over_are_audited_to_their_end(bench: Bench) -> None:
    """Unpredicted records of the last window are missing; records after it are pending."""
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    windowed = replace(RECORDS, sql="SELECT id, body FROM records WHERE created_at >= :window_start "
                                    "AND created_at < :window_end")  # fmt: skip
    schedule = every(hours=1)
    bench.catalog.pipelines["hourly"] = Pipeline(
        "hourly", schedule=schedule, steps=[Predict(STEP, source=windowed, model=length)]
    )
    bench.sql("DELETE FROM records")
    for hour in (9, 10, 11, 12):
        bench.sql("INSERT INTO records (body, created_at) VALUES ('x', %s)", noon.replace(hour=hour, minute=30))
    (run,), messages = tick(bench.parts(), pipeline="hourly", now=noon)
    bench.run_on(run.id, messages)
    found, examples = audit(bench.parts(), pipeline="hourly")
    assert found == counts(records=4, predicted=1, pending=1, missing=2)
    assert examples == {"missing": ["11", "12"]}


def test_a_preview_says_what_a_run_would_do_and_writes_nothing(bench: Bench) -> None:
    """Every table of the ledger is the same before and after."""
    bench.insert(25)
    bench.declare(shard_rows=10)
    bench.sql("UPDATE batchord.runs SET summary = jsonb_set(summary, '{steps,score,records_per_second}', '4')")
    before = tables(bench)
    (step,) = preview(bench.parts(max_shards=2), pipeline=ITEMS)
    assert (step.step, step.records, step.shards, step.largest_shard, step.backlog_left) == (STEP, 20, 2, 10, True)
    assert step.expected_seconds == 5.0
    assert tables(bench) == before
    run = bench.run()
    assert (run.discovered, run.models[STEP]) == (25, step.model_version)


def test_a_preview_of_a_first_run_knows_no_time(bench: Bench) -> None:
    """There is no rate to go by."""
    bench.declare(name="new")
    (step,) = preview(bench.parts(), pipeline="new")
    assert (step.records, step.expected_seconds, step.backlog_left) == (10, None, False)


def test_a_preview_of_a_broken_pipeline_says_what_a_run_would(bench: Bench) -> None:
    """The author sees the error before a run does."""
    bench.declare(source=SqlSource("SELECT id FROM recrods", key="id"))
    with pytest.raises(ConfigurationError, match="recrods"):
        preview(bench.parts(), pipeline=ITEMS)


def tables(bench: Bench) -> dict[str, list[Any]]:
    """Everything that the ledger holds."""
    names = bench.column("SELECT table_name FROM information_schema.tables WHERE table_schema = 'batchord'")
    assert len(names) >= 7
    return {name: bench.sql(f"SELECT * FROM batchord.{name} AS t ORDER BY t::text") for name in names}  # noqa: S608
