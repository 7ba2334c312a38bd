"""A step fails if its model gave no result for any of its records, be it one or a million."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord import FunctionModel
from batchord.core.reasons import LOSS_REASONS
from batchord.core.run.leases import ShardOutcome
from batchord.core.run.records import Rejection
from batchord.core.run.runs import RunState
from batchord.flow.drive.finish import finish_step
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of

NAN = float("nan")


class Panic(BaseException):
    """Not an Exception, like the error that a library written in Rust raises for its own bugs."""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records yet."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def of_nan(frame: pd.DataFrame) -> "pd.Series[Any]":
    """A model whose weights are broken."""
    return pd.Series(NAN, index=frame.index)


def of_nothing(frame: pd.DataFrame) -> pd.DataFrame:
    """A model that says nothing."""
    return pd.DataFrame(index=frame.index)


def of_vectors(frame: pd.DataFrame) -> pd.DataFrame:
    """An embedding model whose weights are broken."""
    return pd.DataFrame({"embedding": [[NAN, NAN]] * len(frame)}, index=frame.index)


def of_bytes(frame: pd.DataFrame) -> pd.DataFrame:
    """A model that forgot to decode."""
    return pd.DataFrame({"label": [b"good"] * len(frame)}, index=frame.index)


@pytest.mark.parametrize(
    ("model", "reason"),
    [(of_nan, "not-finite"), (of_nothing, "no-output"), (of_vectors, "not-finite"), (of_bytes, "bytes-output")],
)
@pytest.mark.parametrize("count", [1, 9])
def test_a_model_that_gives_nothing_fails_its_run(bench: Bench, model: Any, reason: str, count: int) -> None:
    """Also below every rejection limit. People are alerted, and the rejections can be retried."""
    bench.insert(count)
    bench.declare(model)

    run = bench.run()

    assert (run.state, run.predicted, run.rejected) == (RunState.FAILED, 0, count)
    said = (
        f"The model returned no usable prediction for any of its records: {reason} {count}. Read `batchord rejections`"
    )
    assert said in str(run.error)
    assert bench.column("SELECT event FROM batchord.alerts") == [f"run-failed:{run.id}"]
    bench.assert_exactly_once()


def test_one_answer_is_enough(bench: Bench) -> None:
    """Then the records are to blame, up to the limit of rejections."""
    bench.insert(9)
    bench.declare(lambda frame: frame["body"].str.len().where(frame.index == 9, NAN))

    run = bench.run()

    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 1, 8)


def test_records_that_never_reached_the_model_are_not_its_fault(bench: Bench) -> None:
    """With any number of missing and blank texts: the model got none of them."""
    bench.sql("INSERT INTO records (body) VALUES (NULL), (' '), ('')")
    bench.declare(FunctionModel(of_nan, text="body"))

    run = bench.run()

    assert (run.state, run.rejected, run.error) == (RunState.SUCCEEDED, 3, None)


def test_a_model_that_failed_for_all_that_it_was_given_fails_beside_missing_texts(bench: Bench) -> None:
    """Two of three records never reached it; it gave nothing for the third."""
    bench.sql("INSERT INTO records (body) VALUES (NULL), ('a'), ('')")
    bench.declare(FunctionModel(of_nan, text="body"))

    run = bench.run()

    assert (run.state, run.rejected) == (RunState.FAILED, 3)
    assert "not-finite 1." in str(run.error)


@pytest.mark.parametrize("reason", LOSS_REASONS)
def test_a_step_that_only_lost_its_workers_has_failed(bench: Bench, reason: str) -> None:
    """One record, which killed its worker, ran out of time or out of memory: nothing was predicted."""
    bench.insert(1)
    bench.declare()
    run_id, _ = bench.planned(parallelism=1)
    lease = bench.claim(run_id)
    batch = batch_of()
    batch.rejections.append(Rejection(key=1, reason=reason, detail="lost: signal 9 (SIGKILL)"))
    bench.ledger.shards.commit(lease, batch)
    bench.ledger.shards.finish(lease, ShardOutcome(found=1, timings={}))

    finish_step(bench.parts(), run_id=run_id, step=STEP)

    run = bench.ledger.runs.get(run_id)
    assert (run.state, run.rejected) == (RunState.FAILED, 1)
    assert f"{reason} 1. " in str(run.error)


@pytest.mark.parametrize(
    ("leaves", "said"),
    [
        (SystemExit(), "it called sys.exit(None)"),
        (SystemExit(0), "it called sys.exit(0)"),
        (SystemExit("no data"), "it called sys.exit('no data')"),
        (asyncio.CancelledError("late"), "CancelledError: late"),
        (Panic("index out of bounds"), "Panic: index out of bounds"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_leaving_is_an_error_of_the_model(bench: Bench, leaves: BaseException, said: str, count: int) -> None:
    """An error that is not an Exception, as SystemExit, neither ends the process nor lets the run succeed."""

    def leaving(_: pd.DataFrame) -> None:
        raise leaves

    bench.insert(count)
    bench.declare(leaving)

    run = bench.run()

    assert (run.state, run.predicted) == (RunState.FAILED, 0)
    seen = bench.column("SELECT error FROM batchord.shards UNION ALL SELECT detail FROM batchord.rejections")
    assert any(said in str(each) for each in seen), seen


def test_a_record_that_makes_the_model_leave_costs_itself_alone(bench: Bench) -> None:
    """It is rejected like a record for which the model raises an error."""

    def leaving(frame: pd.DataFrame) -> "pd.Series[Any]":
        if 4 in frame.index:
            raise SystemExit(0)
        return frame["body"].str.len()

    bench.insert(9)
    bench.declare(leaving)

    run = bench.run()

    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 8, 1)
    assert bench.outcomes()["4"] == "model-error"


def test_the_next_run_is_not_failed_by_what_the_one_before_rejected(bench: Bench) -> None:
    """Each run answers for its own records; those of before wait for ``batchord retry``."""
    bench.insert(2)
    bench.declare(FunctionModel(of_nan, version="1"))
    assert bench.run().state is RunState.FAILED
    bench.insert(2)
    bench.declare(name=ITEMS)

    run = bench.run()

    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 2, 0)
