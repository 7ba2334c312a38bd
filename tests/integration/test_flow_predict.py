"""A shard becomes predictions, whatever the model does, the records do, or happens to the worker."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from app.core.errors import TransientError
from app.core.messages import StepEnded
from app.core.models import FunctionModel
from app.core.runs import RunState, ShardLease
from app.core.sources import SqlSource
from app.flow.finish import finish_step
from app.flow.predict import ShardHeld, predict_shard
from tests.integration.flow_parts import RECORDS, STEP, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


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
    """A score that is NaN for one record and infinite for another."""
    lengths = frame["body"].str.len()
    return pd.DataFrame({"label": "text", "score": (lengths - 4) / (lengths - 4) / (lengths - 6)}, index=frame.index)


def encoding(frame: pd.DataFrame) -> pd.DataFrame:
    """Bytes, which JSON has no word for, in one record's output."""
    code = [text.encode() if len(text) == 5 else text for text in frame["body"]]
    return pd.DataFrame({"label": "text", "code": code}, index=frame.index)


def broken(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Works for nobody."""
    raise KeyError(frame.columns[0])


def attempt_row(bench: Bench, index: int = 0) -> tuple[str, int, str | None]:
    """State, attempts and error of a shard."""
    ((state, attempt, error),) = bench.sql("SELECT state, attempt, error FROM batchord.shards WHERE index = %s", index)
    return state, attempt, error


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
    """Nobody can tell whose row is missing, so nothing of the batch is written."""
    bench.declare(lazy)
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.FAILED, 0, 0)
    assert "1 of 1 shards failed" in (run.error or "")
    assert "11 rows for 12 records" in (run.error or "")


def test_one_failed_shard_makes_a_partial_run_whose_rest_the_next_run_takes(bench: Bench) -> None:
    """What other shards predicted stays, and the mended model does what is missing."""

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
    """NaN and infinity cannot be stored; the others of the batch are kept."""
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
    """A shard is a range: what is in it when it is read counts, and every count says the same."""
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
    """Nothing to predict is no error."""
    bench.declare()
    run_id, messages = bench.planned()
    bench.sql("TRUNCATE records")
    ended = bench.run_on(run_id, messages)
    assert (ended.state, ended.discovered) == (RunState.SUCCEEDED, 0)


def test_an_attempt_does_only_what_the_one_before_it_left(bench: Bench) -> None:
    """The first worker died after two batches; the second predicts the third, and counts add up."""
    seen: list[int] = []

    def dying(frame: pd.DataFrame) -> "pd.Series[Any]":
        seen.extend(frame.index)
        return frame["body"].str.len()

    def dies(frame: pd.DataFrame) -> "pd.Series[Any]":
        if 9 in frame.index:
            raise SystemExit
        return frame["body"].str.len()

    bench.declare(FunctionModel(dies, version="1"), batch_rows=4)
    run_id, messages = bench.planned(parallelism=1)
    with pytest.raises(SystemExit):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert bench.value("SELECT count(*) FROM batchord.predictions") == 8
    bench.expire_leases()
    bench.catalog.pipelines.clear()
    bench.declare(FunctionModel(dying, version="1"), batch_rows=4)
    # dies@1 is pinned: the new function must carry its name.
    dying.__name__ = "dies"
    ended = bench.run_on(run_id, messages)
    assert (ended.state, ended.predicted, seen) == (RunState.SUCCEEDED, 12, [9, 10, 11, 12])
    assert ended.summary is not None
    assert ended.summary["steps"][STEP]["retries"] == 1


def test_a_worker_that_was_overtaken_stops_and_is_not_counted(bench: Bench) -> None:
    """Its batch is not written, its message is not the shard's end, and the new owner loses nothing."""
    taken: list[ShardLease] = []

    def slow(frame: pd.DataFrame) -> "pd.Series[Any]":
        bench.expire_leases()
        taken.append(bench.claim(run_id, worker="other:2"))
        return frame["body"].str.len()

    bench.declare(slow)
    run_id, _ = bench.planned(parallelism=1)
    with pytest.raises(ShardHeld, match="no longer this worker's"):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert bench.outcomes() == {}
    assert attempt_row(bench) == ("running", 2, None)
    with pytest.raises(ShardHeld, match="held by another worker"):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)


def test_a_message_for_a_finished_shard_does_nothing(bench: Bench) -> None:
    """A redelivered message ends as quietly as the first one."""
    bench.declare()
    run_id, _ = bench.planned(parallelism=1)
    for _ in range(2):
        assert predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0) == []
    assert attempt_row(bench) == ("done", 1, None)


def test_a_source_that_vanishes_costs_an_attempt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shard is given back with the reason; the attempt that succeeds tells the chord's count aloud."""
    monkeypatch.setenv("RECORDS_URL", bench.url)
    bench.declare(source=replace(RECORDS, url_env="RECORDS_URL"))
    run_id, _ = bench.planned(parallelism=1)
    monkeypatch.setenv("RECORDS_URL", NOBODY)
    with pytest.raises(TransientError, match="refused"):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    state, attempt, error = attempt_row(bench)
    assert (state, attempt) == ("pending", 1)
    assert "refused" in (error or "")
    monkeypatch.setenv("RECORDS_URL", bench.url)
    messages = predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert messages == [StepEnded(run_id=run_id, step=STEP)]
    assert attempt_row(bench) == ("done", 2, None)


def test_the_last_attempt_fails_the_shard_with_its_cause(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source never comes back: the shard, the step and the run say why."""
    monkeypatch.setenv("RECORDS_URL", bench.url)
    bench.declare(source=replace(RECORDS, url_env="RECORDS_URL"))
    run_id, messages = bench.planned(parallelism=1)
    monkeypatch.setenv("RECORDS_URL", NOBODY)
    for _ in range(2):
        with pytest.raises(TransientError):
            predict_shard(bench.parts(max_attempts=3), run_id=run_id, step=STEP, index=0)
    ended = bench.run_on(run_id, messages, max_attempts=3)
    assert (ended.state, attempt_row(bench)[:2]) == (RunState.FAILED, ("failed", 3))
    assert "after 3 attempts" in (ended.error or "")
    assert "refused" in (ended.error or "")


def test_a_shard_that_kills_its_workers_is_given_up(bench: Bench) -> None:
    """Attempts are counted when they begin: after the last one nobody tries again."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    for _ in range(2):
        bench.claim(run_id)
        bench.expire_leases()
    ended = bench.run_on(run_id, messages, max_attempts=2)
    assert ended.state is RunState.FAILED
    assert "2 attempts ended without a word" in (ended.error or "")


def test_a_prediction_that_was_deleted_by_hand_is_noticed(bench: Bench) -> None:
    """Shards and tables must say the same, or the step fails with all the figures."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    bench.sql("DELETE FROM batchord.predictions WHERE record_key = '3'")
    assert messages
    finish_step(bench.parts(), run_id=run_id, step=STEP)
    run = bench.ledger.runs.get(run_id)
    assert run.state is RunState.PARTIAL
    assert "does not add up: discovered 12, shards report 12 predicted" in (run.error or "")
    assert "the tables hold 11 and 0" in (run.error or "")
    assert "batchord audit" in (run.error or "")


def test_a_model_that_was_replaced_under_a_run_is_refused(bench: Bench) -> None:
    """The run pinned a version when it was planned; all its predictions come from that one."""
    models: list[Callable[[pd.DataFrame], Any]] = [lambda frame: frame["body"].str.len()]
    bench.declare(FunctionModel(models[0], version="1"))
    run_id, messages = bench.planned(parallelism=1)
    bench.declare(FunctionModel(models[0], version="2"))
    ended = bench.run_on(run_id, messages)
    assert ended.state is RunState.FAILED
    assert "@1" in (ended.error or "")
    assert "@2 now" in (ended.error or "")
    assert bench.run().predicted == 12


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
