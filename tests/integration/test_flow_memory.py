"""A process without memory or threads gives its work back. Only a record that fails alone in new ones is blamed."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord.core.errors import TransientError
from batchord.core.process import exhaustion
from batchord.core.run.runs import RunState
from batchord.flow.predict.plan import plan_step
from batchord.flow.predict.shard import predict_shard
from batchord.flow.step.execute import execute_step
from tests.integration.flow_parts import STEP, Bench, length
from tests.integration.graph_parts import Calls, declare_graph, opened, ran

_LACKS = [
    MemoryError("no more"),
    RuntimeError("can't start new thread"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.fixture
def calls() -> Calls:
    """What was called in this test."""
    return Calls()


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks that one test leaves on its process do not reach another."""
    monkeypatch.setattr(exhaustion._Process, "exhausted", False)  # noqa: SLF001 -- a process forgets it by ending


@pytest.mark.parametrize("lack", _LACKS, ids=lambda error: type(error).__name__)
def test_a_record_that_takes_all_memory_is_rejected_alone(bench: Bench, lack: Exception) -> None:
    """It is singled out in this process, and then must fail in two more that did nothing before."""
    calls: list[list[Any]] = []

    def greedy(frame: pd.DataFrame) -> "pd.Series[Any]":
        calls.append(frame.index.tolist())
        if 7 in frame.index:
            raise lack
        return length(frame)

    bench.insert(12)
    bench.declare(greedy)
    run = bench.run(parallelism=1)

    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 11, 1)
    assert bench.outcomes()["7"] == "out-of-memory"
    assert calls.count([7]) == 3
    assert exhaustion.is_exhausted(), "the process is to end"
    bench.assert_exactly_once()


def test_what_fails_after_a_process_is_full_is_not_to_blame(bench: Bench) -> None:
    """The record that filled it keeps the memory, so each later call fails. New processes predict the others."""
    full: list[int] = []

    def keeps(frame: pd.DataFrame) -> "pd.Series[Any]":
        if full or 3 in frame.index:
            full.append(1)
            raise MemoryError
        return length(frame)

    bench.insert(4)
    bench.declare(keeps)
    run_id, messages = bench.planned(parallelism=1)
    for _ in range(40):
        full.clear()
        try:
            messages = [*predict_next(bench, run_id), *messages]
        except TransientError:
            continue
        if not bench.value("SELECT count(*) FROM batchord.shards WHERE state = 'pending'"):
            break
    run = bench.run_on(run_id, messages)

    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 3, 1)
    assert bench.outcomes()["3"] == "out-of-memory"
    bench.assert_exactly_once()


def predict_next(bench: Bench, run_id: str) -> list[Any]:
    """One shard, in a process of its own."""
    (index,) = bench.sql("SELECT index FROM batchord.shards WHERE state = 'pending' ORDER BY index LIMIT 1")[0]
    return predict_shard(bench.parts(), run_id=run_id, step=STEP, index=index)


def test_a_record_is_not_blamed_by_a_process_that_was_full_before(bench: Bench) -> None:
    """A record that is alone in its shard waits for a process that has done no work yet."""
    full = [True]

    def lacks(frame: pd.DataFrame) -> "pd.Series[Any]":
        if full:
            raise MemoryError
        return length(frame)

    bench.insert(1)
    bench.declare(lacks)
    run_id, messages = bench.planned()
    for _ in range(3):
        with pytest.raises(TransientError, match="a process without free memory"):
            predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0, in_new_process=False)
    assert bench.sql("SELECT state, losses, attempt FROM batchord.shards") == [("pending", 0, 3)]

    full.clear()
    assert bench.run_on(run_id, messages).predicted == 1


def test_a_record_that_finds_every_process_full_is_no_endless_loop(bench: Bench) -> None:
    """After as many attempts as an error has, they count."""

    def lacks(_: pd.DataFrame) -> "pd.Series[Any]":
        raise MemoryError

    bench.insert(1)
    bench.declare(lacks)
    run_id, messages = bench.planned()
    for _ in range(4):
        with pytest.raises(TransientError):
            predict_shard(bench.parts(max_attempts=3), run_id=run_id, step=STEP, index=0, in_new_process=False)
    assert bench.value("SELECT losses FROM batchord.shards") == 2
    assert bench.run_on(run_id, messages).state is RunState.FAILED, "a model that gave nothing"


def test_a_step_finds_a_new_process(bench: Bench, calls: Calls) -> None:
    """One that may run twice: its author's retry= is not used up."""
    step = calls.failing("load", error=MemoryError())
    declare_graph(bench, step)
    run_id, _ = opened(bench)
    with pytest.raises(TransientError):
        raise_waits(execute_step(bench.parts(), run_id=run_id, step="load"))
    assert exhaustion.is_exhausted()
    assert bench.sql("SELECT state FROM batchord.steps") == [("ready",)]
    declare_graph(bench, calls.step("load"))
    bench.run_on(run_id, execute_step(bench.parts(), run_id=run_id, step="load"))
    assert bench.ledger.runs.get(run_id).state is RunState.SUCCEEDED


def raise_waits(messages: list[Any]) -> None:
    """A step that is handed back is sent again."""
    if messages:
        raise TransientError(str(messages))


def test_a_step_that_may_not_run_twice_has_failed(bench: Bench, calls: Calls) -> None:
    """How much of it was done is not known."""
    declare_graph(bench, calls.failing("load", error=MemoryError("no more"), idempotent=False))
    run = ran(bench)
    assert run.state is RunState.FAILED
    assert "no more" in (run.error or "")
    assert calls.made == ["load"]


def test_a_plan_is_left_to_another_attempt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planner's process may be full as well."""
    bench.insert(2)
    bench.declare()
    run = bench.started()
    monkeypatch.setattr("batchord.flow.predict.plan.scan", lacking)
    with pytest.raises(TransientError, match="handed back"):
        plan_step(bench.parts(), run_id=run.id, step=STEP)
    monkeypatch.undo()
    messages = plan_step(bench.parts(), run_id=run.id, step=STEP)
    assert bench.run_on(run.id, messages).predicted == 2


def lacking(*_: Any, **__: Any) -> None:
    """Anything that this process has no room for."""
    raise MemoryError
