"""A shard that loses its workers is halved, down to the record that kills them."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord.core.reasons import LossCause
from batchord.core.run.messages import Message, ShardsReady, StepEnded
from batchord.core.run.runs import RunState
from batchord.flow.predict.shard import predict_shard
from batchord.flow.predict.split import MOST_BLAMED
from tests.integration.flow_parts import STEP, TERMINATED, Bench, batch_of

RECORDS = 64
KILLED = "lost: signal 11 (SIGSEGV)"
OUT_OF_TIME = "lost: time limit of 2 s exceeded"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Sixty-four records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(RECORDS)
        yield bench


def deadly_for(*keys: int) -> Callable[[pd.DataFrame], "pd.Series[Any]"]:
    """A model whose process does not outlive these records."""

    def deadly(frame: pd.DataFrame) -> "pd.Series[Any]":
        if not frame.index.intersection(list(keys)).empty:
            raise SystemExit(TERMINATED)
        return frame["body"].str.len()

    return deadly


def work(bench: Bench, run_id: str, messages: list[Message]) -> int:
    """Works messages off as a broker and a pool do, and returns how many workers died over it."""
    deaths = 0
    waiting = deque(messages)
    while waiting:
        message = waiting.popleft()
        if isinstance(message, ShardsReady) and len(message.indexes) == 1:
            try:
                waiting += predict_shard(bench.parts(), run_id=run_id, step=STEP, index=message.indexes[0])
            except SystemExit:
                deaths += 1
                (index,) = message.indexes
                bench.ledger.shards.lose(run_id, STEP, index, worker="test:1", cause=LossCause.ENDED, error=KILLED)
                waiting.append(message)  # the broker delivers it again
        elif isinstance(message, ShardsReady):
            waiting += [
                ShardsReady(run_id=run_id, step=STEP, queue=message.queue, indexes=(index,))
                for index in message.indexes
            ]
        else:
            bench.run_on(run_id, [message])
    return deaths


def lose(bench: Bench, run_id: str, *errors: str, index: int = 0) -> None:
    """One worker after another dies over a shard."""
    for error in errors:
        cause = LossCause.OUT_OF_TIME if error == OUT_OF_TIME else LossCause.ENDED
        bench.claim(run_id, index)
        assert bench.ledger.shards.lose(run_id, STEP, index, worker="test:1", cause=cause, error=error)


@pytest.mark.parametrize("deadly", [1, 2, 33, RECORDS])
def test_one_deadly_record_costs_itself_and_few_workers(bench: Bench, deadly: int) -> None:
    """Wherever it stands: two for the shard, one for each halving, two for the record."""
    bench.declare(deadly_for(deadly))
    run_id, messages = bench.planned(parallelism=1)
    deaths = work(bench, run_id, messages)
    ended = bench.ledger.runs.get(run_id)
    assert (ended.state, ended.predicted, ended.rejected) == (RunState.SUCCEEDED, RECORDS - 1, 1)
    assert bench.outcomes()[str(deadly)] == "killed-worker"
    assert deaths <= 2 + math.log2(RECORDS) + 2
    assert ended.discovered == RECORDS
    bench.assert_exactly_once()


def test_two_deadly_records_are_both_found(bench: Bench) -> None:
    """In one shard, side by side or far apart."""
    bench.declare(deadly_for(8, 9, 60))
    run_id, messages = bench.planned(parallelism=1)
    work(bench, run_id, messages)
    ended = bench.ledger.runs.get(run_id)
    assert (ended.predicted, ended.rejected) == (RECORDS - 3, 3)
    assert {key for key, outcome in bench.outcomes().items() if outcome == "killed-worker"} == {"8", "9", "60"}
    bench.assert_exactly_once()


def test_a_record_that_takes_for_ever_is_rejected_as_out_of_time(bench: Bench) -> None:
    """The last cause counts; the detail tells all of them."""
    bench.sql("DELETE FROM records WHERE id > 1")
    bench.declare()
    run_id, messages = bench.planned()
    lose(bench, run_id, KILLED, OUT_OF_TIME)
    bench.run_on(run_id, messages)
    assert bench.sql("SELECT reason, detail FROM batchord.rejections") == [
        ("out-of-time", f"{KILLED}; {OUT_OF_TIME}"),
    ]


def test_one_lost_worker_accuses_nobody(bench: Bench) -> None:
    """A machine may fail for other reasons, so the shard is tried again unsplit."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    lose(bench, run_id, KILLED)
    ended = bench.run_on(run_id, messages)
    assert (ended.predicted, bench.column("SELECT state FROM batchord.shards")) == (RECORDS, ["done"])


def test_a_single_record_must_lose_two_workers_of_its_own(bench: Bench) -> None:
    """It is not blamed for the losses of the shard before it was halved."""
    bench.sql("DELETE FROM records WHERE id > 2")
    bench.declare()
    run_id, messages = bench.planned()
    lose(bench, run_id, KILLED, KILLED)
    assert predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0) == [
        ShardsReady(run_id=run_id, step=STEP, queue="table", indexes=(1, 2))
    ]
    lose(bench, run_id, KILLED, index=1)
    ended = bench.run_on(run_id, [ShardsReady(run_id=run_id, step=STEP, queue="table", indexes=(1, 2)), *messages])
    assert (ended.state, ended.predicted, ended.rejected) == (RunState.SUCCEEDED, 2, 0)


def test_a_model_that_kills_its_workers_over_every_record_fails(bench: Bench) -> None:
    """After some records it is the model that is blamed: the rest stays pending, for the mended one."""
    bench.declare(deadly_for(*range(1, RECORDS + 1)))
    run_id, messages = bench.planned(parallelism=1)
    work(bench, run_id, messages)
    ended = bench.ledger.runs.get(run_id)
    assert (ended.state, ended.rejected) == (RunState.FAILED, MOST_BLAMED)
    assert "20 records have already killed their workers: fix the model, not the records" in (ended.error or "")
    bench.declare()
    assert bench.run().predicted == RECORDS - MOST_BLAMED
    bench.assert_exactly_once()


def test_only_what_is_left_of_a_shard_is_halved(bench: Bench) -> None:
    """Batches that were committed before the workers died stay, and count where they were written."""
    bench.declare(deadly_for(40), batch_rows=16)
    run_id, messages = bench.planned(parallelism=1)
    work(bench, run_id, messages)
    assert bench.sql("SELECT state, planned, predicted FROM batchord.shards ORDER BY index LIMIT 3") == [
        ("split", 32, 32),
        ("split", 0, 0),
        ("done", 16, 16),
    ]
    assert bench.ledger.runs.get(run_id).discovered == RECORDS
    bench.assert_exactly_once()


def test_a_shard_whose_workers_died_after_its_last_commit_is_done(bench: Bench) -> None:
    """There are no records left to halve or to blame."""
    bench.declare()
    run_id, messages = bench.planned(parallelism=1)
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(*range(1, RECORDS + 1)))
    lose(bench, run_id, KILLED, KILLED)
    ended = bench.run_on(run_id, messages)
    assert (ended.state, ended.predicted, ended.rejected) == (RunState.SUCCEEDED, RECORDS, 0)


def test_a_shard_whose_records_went_meanwhile_is_done(bench: Bench) -> None:
    """The record that killed its workers was deleted by somebody: the step's end is said aloud."""
    bench.declare()
    run_id, _ = bench.planned(parallelism=1)
    lose(bench, run_id, KILLED, KILLED)
    bench.sql("TRUNCATE records")
    assert predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0) == [StepEnded(run_id=run_id, step=STEP)]
    assert bench.run_on(run_id, [StepEnded(run_id=run_id, step=STEP)]).state is RunState.SUCCEEDED
