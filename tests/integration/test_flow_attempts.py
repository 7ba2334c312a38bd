"""Attempts at a shard: each continues where the one before ended, and the last reports the cause."""

import gc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord import FunctionModel
from batchord.core.errors import TransientError
from batchord.core.run.leases import ShardLease
from batchord.core.run.messages import StepEnded
from batchord.core.run.runs import RunState
from batchord.flow.predict import calls as predict
from batchord.flow.predict.prepare import Prepared
from batchord.flow.predict.shard import ShardHeld, predict_shard
from batchord.flow.upkeep.recover import sweep
from tests.integration.flow_parts import RECORDS, STEP, TERMINATED, Bench
from tests.waiting import wait_until

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Twelve records with bodies of 1 to 12 letters."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        yield bench


def attempt_row(bench: Bench) -> tuple[str, int]:
    """State and attempts of the first shard."""
    ((state, attempt),) = bench.sql("SELECT state, attempt FROM batchord.shards WHERE index = 0")
    return state, attempt


def error(bench: Bench) -> str:
    """What the ledger says of the first shard."""
    return str(bench.value("SELECT error FROM batchord.shards WHERE index = 0"))


def test_an_attempt_does_only_what_the_one_before_it_left(bench: Bench) -> None:
    """The first worker died after two batches; the second predicts the third, and counts add up."""
    seen: list[int] = []

    def dying(frame: pd.DataFrame) -> "pd.Series[Any]":
        seen.extend(frame.index)
        return frame["body"].str.len()

    def dies(frame: pd.DataFrame) -> "pd.Series[Any]":
        if 9 in frame.index:
            raise SystemExit(TERMINATED)
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


def test_an_attempt_that_failed_keeps_no_transaction_open(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open one holds back vacuum, and takes one of a process's few connections to the source."""

    def failing(*_: Any, **__: Any) -> Prepared:
        raise TransientError("the object store answers 503")

    def open_on_the_source() -> int:
        return int(
            bench.value(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE application_name = 'batchord-source' AND state = 'idle in transaction'"
            )
        )

    bench.declare(FunctionModel(len, version="1"), batch_rows=4)
    run_id, _ = bench.planned(parallelism=1)
    monkeypatch.setattr(predict, "prepare", failing)
    gc.disable()
    try:
        with pytest.raises(TransientError) as kept:  # as Celery keeps it for a while
            predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
        assert open_on_the_source() == 0, kept.value
    finally:
        gc.enable()


def test_a_worker_that_was_overtaken_stops_and_is_not_counted(bench: Bench) -> None:
    """Its batch is not written, its message is not the shard's end, and the new owner loses nothing."""
    taken: list[ShardLease] = []

    def slow(frame: pd.DataFrame) -> "pd.Series[Any]":
        bench.expire_leases()
        taken.append(bench.claim(run_id, worker="other:2"))
        return frame["body"].str.len()

    bench.declare(slow)
    run_id, _ = bench.planned(parallelism=1)
    with pytest.raises(ShardHeld, match="no longer belongs to this worker"):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert bench.outcomes() == {}
    assert attempt_row(bench) == ("running", 2)
    with pytest.raises(ShardHeld, match="held by another worker"):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)


def test_a_message_for_a_finished_shard_does_nothing(bench: Bench) -> None:
    """A redelivered message ends as quietly as the first one."""
    bench.declare()
    run_id, _ = bench.planned(parallelism=1)
    for _ in range(2):
        assert predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0) == []
    assert attempt_row(bench) == ("done", 1)


def test_a_source_that_vanishes_costs_an_attempt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shard is given back with the reason; the attempt that succeeds tells the chord's count aloud."""
    monkeypatch.setenv("RECORDS_URL", bench.url)
    bench.declare(source=replace(RECORDS, url_env="RECORDS_URL"))
    run_id, _ = bench.planned(parallelism=1)
    monkeypatch.setenv("RECORDS_URL", NOBODY)
    with pytest.raises(TransientError, match="refused"):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert attempt_row(bench) == ("pending", 1)
    assert "refused" in error(bench)
    monkeypatch.setenv("RECORDS_URL", bench.url)
    messages = predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert messages == [StepEnded(run_id=run_id, step=STEP)]
    assert attempt_row(bench) == ("done", 2)


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
    assert (ended.state, attempt_row(bench)) == (RunState.FAILED, ("failed", 3))
    assert "after 3 attempts" in (ended.error or "")
    assert "refused" in (ended.error or "")


def test_an_unexpected_error_is_tried_again_and_reported(bench: Bench) -> None:
    """The database refuses a row: after the last attempt the run's error holds its words."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    bench.sql(f"ALTER TABLE {bench.table()} ADD CHECK (id <> 7)")
    with pytest.raises(TransientError, match="CheckViolation"):
        predict_shard(bench.parts(max_attempts=2), run_id=run_id, step=STEP, index=0)
    ended = bench.run_on(run_id, messages, max_attempts=2)
    assert (ended.state, attempt_row(bench)) == (RunState.FAILED, ("failed", 2))
    assert "items__score_id_check" in (ended.error or "")


def test_the_causes_of_all_attempts_are_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source did not answer, then the worker vanished, then the source did not answer again."""
    monkeypatch.setenv("RECORDS_URL", bench.url)
    bench.declare(source=replace(RECORDS, url_env="RECORDS_URL"))
    run_id, messages = bench.planned(parallelism=1)
    monkeypatch.setenv("RECORDS_URL", NOBODY)
    with pytest.raises(TransientError):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    bench.claim(run_id)
    bench.expire_leases()
    ended = bench.run_on(run_id, messages, max_attempts=3)
    assert ended.state is RunState.FAILED
    assert error(bench).index("refused") < error(bench).index("vanished") < error(bench).rindex("refused")


def test_a_shard_whose_workers_vanish_twice_is_halved(bench: Bench) -> None:
    """Both halves are predicted, by the next workers."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    for _ in range(2):
        bench.claim(run_id)
        bench.expire_leases()
    ended = bench.run_on(run_id, messages)
    assert (ended.state, ended.discovered, ended.predicted) == (RunState.SUCCEEDED, 12, 12)
    assert bench.sql("SELECT state, predicted FROM batchord.shards ORDER BY index") == [
        ("split", 0), ("done", 6), ("done", 6),
    ]  # fmt: skip
    bench.assert_exactly_once()


def test_a_record_that_kills_its_workers_is_rejected_alone(bench: Bench) -> None:
    """Whoever predicts record 7 is gone; the sweeper and halving isolate it, and all others are predicted."""

    def deadly(frame: pd.DataFrame) -> "pd.Series[Any]":
        if 7 in frame.index:
            raise SystemExit(TERMINATED)
        return frame["body"].str.len()

    bench.declare(deadly, batch_rows=5)
    run_id, _ = bench.planned(parallelism=1)
    parts = bench.parts(resend_after_seconds=0.0001, max_attempts=2)

    def swept_to_its_end() -> bool:
        bench.expire_leases()
        for message in sweep(parts):
            with suppress(SystemExit):  # a worker less
                bench.run_on(run_id, [message], max_attempts=2)
        return bench.ledger.runs.get(run_id).state.ended

    wait_until(swept_to_its_end, description="the run ended", timeout=20)
    ended = bench.ledger.runs.get(run_id)
    assert (ended.state, ended.predicted, ended.rejected) == (RunState.SUCCEEDED, 11, 1)
    assert bench.outcomes()["7"] == "killed-worker"
    bench.assert_exactly_once()


def test_memory_that_runs_out_beside_the_model_counts_as_a_loss(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the kernel had killed the process: after two losses the shard is halved."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    monkeypatch.setattr("batchord.flow.predict.calls.to_batch", _out_of_memory)
    with pytest.raises(TransientError, match="lost: out of memory"):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert bench.sql("SELECT state, losses, error FROM batchord.shards") == [("pending", 1, "lost: out of memory")]
    monkeypatch.undo()
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED
    bench.assert_exactly_once()


def _out_of_memory(*_: object, **__: object) -> None:
    raise MemoryError
