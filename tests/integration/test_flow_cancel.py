"""A run that a person cancels: its workers write no more, and the next run takes the remaining records."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError, LeaseLost
from batchord.core.run.leases import Claim
from batchord.core.run.messages import RunReady
from batchord.core.run.runs import RunState
from batchord.flow.begin.start import start_run
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.predict.plan import plan_step
from batchord.flow.predict.shard import ShardHeld, predict_shard
from batchord.flow.upkeep.recover import sweep
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, batch_of, length


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline over twelve records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        bench.declare()
        yield bench


def test_a_cancelled_run_says_what_it_did(bench: Bench) -> None:
    """In mid-shard: its predictions stay and are counted, and the run names the person who cancelled it."""
    run_id, _ = bench.planned(parallelism=1)
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(1, 2, rejected=[3]))
    assert cancel_run(bench.parts(), run_id=run_id, who="by Ada") == []
    run = bench.ledger.runs.get(run_id)
    assert (run.state, run.error) == (RunState.CANCELLED, "cancelled by Ada")
    assert (run.discovered, run.predicted, run.rejected) == (12, 2, 1)
    assert run.summary is not None
    assert run.summary["pending"] == 9
    assert run.finished_at is not None
    assert bench.sql("SELECT state, error FROM batchord.shards UNION ALL SELECT state, error FROM batchord.steps") == [
        ("failed", "cancelled by Ada"),
    ] * 2  # fmt: skip


def test_a_worker_of_a_cancelled_run_writes_no_more(bench: Bench) -> None:
    """Its lease is void: commit, renew and finish raise LeaseLost, and its shard has ended."""
    run_id, _ = bench.planned(parallelism=1)
    lease = bench.claim(run_id)
    cancel_run(bench.parts(), run_id=run_id)
    with pytest.raises(LeaseLost):
        bench.ledger.shards.commit(lease, batch_of(1))
    with pytest.raises(LeaseLost):
        bench.ledger.shards.renew(lease, lease_seconds=60)
    bench.ledger.shards.release(lease, "too late")
    assert bench.ledger.shards.claim(run_id, STEP, 0, lease_seconds=60, worker="test:2") is Claim.ENDED
    assert bench.outcomes() == {}


def test_a_run_that_is_cancelled_while_its_model_works_ends_there(bench: Bench) -> None:
    """The batch at hand is not written; the message of the shard is dropped without a word to the chord."""

    def slow(frame: pd.DataFrame) -> "pd.Series[Any]":
        if 5 in frame.index:
            cancel_run(bench.parts(), run_id=run_id)
        return frame["body"].str.len()

    bench.declare(slow, batch_rows=4)
    run_id, _ = bench.planned(parallelism=1)
    with pytest.raises(ShardHeld, match="the run was ended"):
        predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    assert bench.ledger.runs.get(run_id).state is RunState.CANCELLED
    assert "5" not in bench.outcomes()


def test_a_planner_of_a_cancelled_run_plans_nothing(bench: Bench) -> None:
    """Ended during its scan: no shard, no frontier, no message."""
    run = bench.started()
    parts = bench.parts()

    def cancelled(declared: SqlSource, window: tuple[datetime, datetime] | None) -> SourceReader:
        cancel_run(parts, run_id=run.id)
        return parts.open_source(declared, window)

    assert plan_step(replace(parts, open_source=cancelled), run_id=run.id, step=STEP) == []
    assert bench.value("SELECT count(*) FROM batchord.shards") == 0
    assert bench.value("SELECT count(*) FROM batchord.frontiers") == 0
    assert bench.ledger.runs.get(run.id).state is RunState.CANCELLED


def test_the_next_run_takes_what_a_cancelled_one_left(bench: Bench) -> None:
    """It had planned all twelve, and its frontier counts for nothing."""
    bench.declare(shard_rows=4)
    run_id, _ = bench.planned()
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=1)
    cancel_run(bench.parts(), run_id=run_id)
    bench.insert(2)
    assert [bench.run().predicted for _ in range(2)] == [10, 0]
    bench.assert_exactly_once()


def test_the_end_of_a_cancelled_run_starts_the_one_that_waits(bench: Bench) -> None:
    """The oldest of them."""
    first, _ = bench.planned()
    second, third = (start_run(bench.parts(), pipeline=ITEMS, trigger="call", request=name)[0] for name in "23")
    messages = cancel_run(bench.parts(), run_id=first)
    assert messages == [RunReady(run_id=second.id)]
    assert bench.run_on(second.id, messages).predicted == 12
    assert bench.ledger.runs.get(third.id).state is RunState.SUCCEEDED
    bench.assert_exactly_once()


def test_a_run_that_has_not_started_never_does(bench: Bench) -> None:
    """The run before it goes on as if nothing had been."""
    first, shards = bench.planned()
    waiting, _ = start_run(bench.parts(), pipeline=ITEMS, trigger="call", request="2")
    cancel_run(bench.parts(), run_id=waiting.id)
    ended = bench.ledger.runs.get(waiting.id)
    assert (ended.state, ended.started_at, ended.discovered) == (RunState.CANCELLED, None, 0)
    assert bench.run_on(first, shards).predicted == 12
    assert bench.ledger.runs.get(waiting.id) == ended


def test_a_step_that_waits_for_another_ends_with_its_run(bench: Bench) -> None:
    """Nothing of the run is open: the sweeper has nothing to send."""
    after = Predict("after", source=RECORDS, model=length, after=(STEP,))
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=[Predict(STEP, source=RECORDS, model=length), after])
    run_id, _ = bench.planned()
    cancel_run(bench.parts(), run_id=run_id)
    assert bench.column("SELECT state FROM batchord.steps") == ["failed", "failed"]
    bench.expire_leases()
    assert sweep(bench.parts(), older_than_seconds=0) == []


def test_a_run_that_is_over_stays_as_it_is(bench: Bench) -> None:
    """Also when it is cancelled twice."""
    run = bench.run()
    assert cancel_run(bench.parts(), run_id=run.id) == []
    assert bench.ledger.runs.get(run.id) == run
    other, _ = bench.planned()
    cancel_run(bench.parts(), run_id=other)
    once = bench.ledger.runs.get(other)
    cancel_run(bench.parts(), run_id=other, who="again")
    assert bench.ledger.runs.get(other) == once


def test_an_unknown_run_cannot_be_cancelled(bench: Bench) -> None:
    """It is named."""
    unknown = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(ConfigurationError, match=unknown):
        cancel_run(bench.parts(), run_id=unknown)
