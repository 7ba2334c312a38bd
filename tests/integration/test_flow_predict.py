"""A shard becomes predictions, whatever the model does, the records do, or happens to the worker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord.core.run.runs import RunState
from batchord.flow.drive.finish import finish_step
from batchord.flow.predict.shard import predict_shard
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import STEP, Bench


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Twelve records with bodies of 1 to 12 letters."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        yield bench


def fragile(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Cannot bear a text of seven letters."""
    if 7 in frame["body"].str.len().to_numpy():
        raise ValueError("seven is too much")
    return frame["body"].str.len()


def lazy(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Leaves out the last record."""
    return frame["body"].str.len().iloc[:-1]


def dividing(frame: pd.DataFrame) -> pd.DataFrame:
    """A score that is NaN for one record and infinite for another, and a label for half of them."""
    lengths = frame["body"].str.len()
    scores = 0 * lengths / (lengths - 4) + 1 / (lengths - 6)
    return pd.DataFrame({"label": ["x" if n % 2 else None for n in lengths], "score": scores}, index=frame.index)


def encoding(frame: pd.DataFrame) -> pd.DataFrame:
    """Bytes, which JSON has no word for, in one record's output."""
    code = [text.encode() if len(text) == 5 else text for text in frame["body"]]
    return pd.DataFrame({"label": "text", "code": code}, index=frame.index)


def broken(frame: pd.DataFrame) -> "pd.Series[Any]":
    """A model that always fails."""
    raise KeyError(frame.columns[0])


def test_a_record_that_the_model_cannot_bear_costs_itself_alone(bench: Bench) -> None:
    """It is rejected with the model's own words; its eleven neighbours of the batch are predicted."""
    bench.declare(fragile)
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 11, 1)
    ((key, reason, detail),) = bench.sql("SELECT record_key, reason, detail FROM batchord.rejections")
    assert (key, reason) == ("7", "model-error")
    assert "ValueError: seven is too much" in detail
    bench.assert_exactly_once()


def test_a_model_that_returns_too_few_rows_fails_its_shard_and_says_so(bench: Bench) -> None:
    """It is unknown which record has no row, so no row of the batch is written."""
    bench.declare(lazy)
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.FAILED, 0, 0)
    assert "1 of 1 shard failed" in (run.error or "")
    assert "11 rows for 12 records" in (run.error or "")


def test_one_failed_shard_makes_a_partial_run_whose_rest_the_next_run_takes(bench: Bench) -> None:
    """The predictions of other shards stay, and the corrected model predicts the rest."""

    def moody(frame: pd.DataFrame) -> "pd.Series[Any]":
        lengths = frame["body"].str.len()
        return lengths.iloc[:-1] if 7 in lengths.to_numpy() else lengths

    bench.declare(moody, shard_rows=4)
    run = bench.run()
    assert (run.state, run.discovered, run.predicted) == (RunState.PARTIAL, 12, 8)
    assert run.summary is not None
    assert run.summary["pending"] == 4
    bench.declare()
    assert bench.run().predicted == 4
    bench.assert_exactly_once()


def test_a_model_that_works_for_no_record_fails_instead_of_rejecting_them_all(bench: Bench) -> None:
    """The model is broken, not the records."""
    bench.declare(broken)
    run = bench.run()
    assert (run.state, run.rejected) == (RunState.FAILED, 0)
    assert "KeyError" in (run.error or "")


def test_a_score_that_is_no_number_rejects_its_record(bench: Bench) -> None:
    """Infinity never, and NaN not when there is no label beside it; the others of the batch are kept."""
    bench.declare(dividing)
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 10, 2)
    assert bench.outcomes()["4"] == bench.outcomes()["6"] == "not-finite"


def test_bytes_reject_their_record(bench: Bench) -> None:
    """The reason names the column."""
    bench.declare(encoding)
    run = bench.run()
    assert (run.predicted, run.rejected) == (11, 1)
    assert bench.sql("SELECT record_key, reason, detail FROM batchord.rejections") == [
        ("5", "bytes-output", "column code: bytes cannot be stored as JSON")
    ]


def test_records_that_came_or_went_after_the_plan_are_followed(bench: Bench) -> None:
    """A shard is a range: the records in it when it is read count, and all counts agree."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    assert bench.ledger.runs.get(run_id).discovered == 12
    bench.sql("DELETE FROM records WHERE id IN (1, 5, 6, 12)")
    bench.sql("INSERT INTO records (id, body) VALUES (6, 'late')")
    ended = bench.run_on(run_id, messages)
    assert (ended.state, ended.discovered, ended.predicted) == (RunState.SUCCEEDED, 9, 9)
    assert ended.summary is not None
    assert ended.summary["steps"][STEP]["changed_since_planned"] == -3
    bench.assert_exactly_once()


def test_a_shard_whose_records_are_all_gone_is_done(bench: Bench) -> None:
    """A shard without records is not an error."""
    bench.declare()
    run_id, messages = bench.planned()
    bench.sql("TRUNCATE records")
    ended = bench.run_on(run_id, messages)
    assert (ended.state, ended.discovered) == (RunState.SUCCEEDED, 0)


def test_a_prediction_that_was_deleted_by_hand_is_noticed(bench: Bench) -> None:
    """Shards and tables must say the same, or the step fails with all the figures."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    bench.forget("3")
    assert messages
    finish_step(bench.parts(), run_id=run_id, step=STEP)
    run = bench.ledger.runs.get(run_id)
    assert run.state is RunState.PARTIAL
    assert "does not add up: discovered 12, shards report 12 predicted" in (run.error or "")
    assert "the tables hold 11 and 0" in (run.error or "")
    assert "batchord audit" in (run.error or "")


def test_a_record_that_moves_into_another_shard_is_counted_where_it_was_written(bench: Bench) -> None:
    """Its arrival changes after one shard has read it and before the other does: one prediction, and counts agree."""

    def moving(frame: pd.DataFrame) -> "pd.Series[Any]":
        if 8 in frame.index and not moved:
            moved.append(8)
            bench.sql("UPDATE records SET created_at = now() - interval '15 hours' WHERE id = 8")
            predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
        return frame["body"].str.len()

    moved: list[int] = []
    bench.sql("UPDATE records SET created_at = now() - make_interval(hours => 20 - id::int)")
    by_arrival = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")
    bench.declare(moving, source=by_arrival, shard_rows=6)
    run_id, _ = bench.planned()
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=1)
    finish_step(bench.parts(), run_id=run_id, step=STEP)
    assert bench.sql("SELECT index, state, discovered, predicted FROM batchord.shards ORDER BY index") == [
        (0, "done", 7, 7),
        (1, "done", 5, 5),
    ]
    assert bench.ledger.runs.get(run_id).state is RunState.SUCCEEDED
    bench.assert_exactly_once()


def test_a_missing_score_beside_a_label_is_missing(bench: Bench) -> None:
    """A model may label a record without a score for it: pandas says NaN, the ledger NULL."""
    bench.declare(lambda frame: pd.DataFrame({"label": "x", "score": [None, 0.5] * 6}, index=frame.index))
    assert bench.run().predicted == 12
    assert bench.value("SELECT count(*) FROM batchord.predictions WHERE score IS NULL") == 6


def test_a_label_of_bytes_rejects_its_record(bench: Bench) -> None:
    """It is not stored as the text that Python shows for it."""
    bench.declare(lambda frame: frame["body"].map(lambda text: text.encode() if len(text) == 5 else text))
    run = bench.run()
    assert (run.predicted, run.rejected) == (11, 1)
    assert bench.outcomes()["5"] == "bytes-output"


def test_a_shard_that_grew_and_then_failed_still_adds_up(bench: Bench) -> None:
    """More was accounted for than was planned: nothing is pending below zero, and the cause is not hidden."""

    def lazy_at_the_end(frame: pd.DataFrame) -> "pd.Series[Any]":
        lengths = frame["body"].str.len()
        return lengths.iloc[:-1] if 12 in frame.index else lengths

    bench.sql("DELETE FROM records WHERE id BETWEEN 2 AND 11")
    bench.declare(lazy_at_the_end, batch_rows=4)
    run_id, messages = bench.planned(parallelism=1)
    bench.sql("INSERT INTO records (id, body) SELECT n, 'late' FROM generate_series(2, 8) AS n")
    ended = bench.run_on(run_id, messages)
    assert (ended.state, ended.predicted) == (RunState.PARTIAL, 8)
    assert "0 rows for 1 record" in (ended.error or "")
    assert ended.summary is not None
    assert ended.summary["pending"] == 0
