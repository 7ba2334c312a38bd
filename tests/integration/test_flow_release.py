"""The leases of local processes end with them: at once on their own machine, otherwise when they run out."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from batchord.core.run.leases import ShardLease
from batchord.core.run.runs import RunState
from batchord.flow.local import run_local
from batchord.flow.parts import Parts
from batchord.flow.predict.shard import predict_shard
from batchord.flow.upkeep.recover import sweep
from batchord.processes.local_names import local_name
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.integration.graph_parts import Calls, declare_graph, history, opened, states

if TYPE_CHECKING:
    import pandas as pd

#: A lease that no test waits for.
LONG = {"lease_seconds": 600.0}


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Ten records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(10)
        yield bench


def _ended_name() -> str:
    """The name of a process that had this process's pid before."""
    name, _, birth = local_name().rpartition(".")
    return f"{name}.{int(birth) - 1}"


def _local(bench: Bench, worker: str = "", **settings: Any) -> Parts:
    return replace(bench.parts(**{**LONG, **settings}), worker=worker or local_name())


def _held_by(bench: Bench, worker: str) -> ShardLease:
    """A run whose first shard a process holds."""
    run_id, _ = bench.planned(**LONG)
    return bench.claim(run_id, worker=worker)


def test_a_local_run_takes_over_from_one_that_has_ended(bench: Bench) -> None:
    """It does not wait for the lease of ten minutes. Both runs end, and each record has one prediction."""
    bench.declare()
    lease = _held_by(bench, _ended_name())

    run = run_local(_local(bench), pipeline=ITEMS)

    assert (run.state, run.discovered) == (RunState.SUCCEEDED, 0)
    assert bench.ledger.runs.get(lease.run_id).predicted == 10
    assert bench.sql("SELECT state, cause FROM batchord.attempts WHERE shard = 0 ORDER BY attempt") == [
        ("lost", "ended"),
        ("done", None),
    ]
    bench.assert_exactly_once()


def test_a_local_run_says_for_whom_it_waits_and_until_when(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker of the local stack that was killed leaves its lease, and nobody tells of its end."""
    bench.declare()
    lease = _held_by(bench, "vm:4711")
    until = bench.value("SELECT lease_until FROM batchord.shards WHERE state = 'running'")
    monkeypatch.setattr("batchord.flow.local.time", SimpleNamespace(sleep=lambda _: bench.expire_leases()))

    run = run_local(_local(bench), pipeline=ITEMS)

    (said,) = [line for line in caplog.messages if "waits for an earlier run" in line]
    assert f"Run {run.id[:8]}" in said
    assert run.id not in said
    assert (
        f"held by vm:4711. If it was killed, its work goes on here after {until.astimezone(UTC):%H:%M:%S} UTC." in said
    )
    assert bench.ledger.runs.get(lease.run_id).predicted == 10


@pytest.mark.parametrize(
    "worker", [local_name(), "test:1", "other-machine:5@00000000.1"], ids=["this process", "no place", "other machine"]
)
def test_nobody_takes_over_from_a_process_that_may_run(bench: Bench, worker: str) -> None:
    """It lives, or it is Celery's, or it is elsewhere: only its lease decides."""
    bench.declare()
    lease = _held_by(bench, worker)

    sweep(_local(bench), older_than_seconds=0)

    assert bench.value("SELECT lease_token::text FROM batchord.shards") == lease.token


def test_a_step_that_had_begun_is_not_run_again(bench: Bench) -> None:
    """As after every other loss: a step that may run only once fails."""
    calls = Calls()
    declare_graph(bench, calls.step("work", idempotent=False))
    run_id, _ = opened(bench)
    lease = bench.ledger.runs.claim_step(run_id, "work", lease_seconds=600, worker=_ended_name())
    assert lease is not None
    assert bench.ledger.runs.begin_step(lease)

    run_local(_local(bench), pipeline=ITEMS)

    assert states(bench, run_id) == {"work": "failed"}
    assert [state for state, _, _ in history(bench, run_id, "work")] == ["lost", "failed"]
    assert len(calls.made) == 1  # that of the second run


def test_an_interrupted_local_run_gives_its_work_back(bench: Bench) -> None:
    """After Ctrl-C, its shard waits for the next process, without a loss. What it has written stays."""
    interrupted: list[int] = []

    def once(frame: "pd.DataFrame") -> "pd.Series[Any]":
        if 5 in frame.index and not interrupted:
            interrupted.append(1)
            raise KeyboardInterrupt
        return frame["body"].str.len()

    bench.declare(once, batch_rows=2)
    with pytest.raises(KeyboardInterrupt):
        run_local(_local(bench), pipeline=ITEMS)

    assert bench.sql("SELECT state, losses FROM batchord.shards") == [("pending", 0)]
    assert run_local(_local(bench), pipeline=ITEMS).state is RunState.SUCCEEDED
    bench.assert_exactly_once()


def test_a_process_that_was_taken_for_ended_cannot_write(bench: Bench) -> None:
    """Whatever the name says, the token decides."""
    bench.declare()
    lease = _held_by(bench, _ended_name())
    run_local(_local(bench), pipeline=ITEMS)

    assert not bench.sql("SELECT FROM batchord.shards WHERE lease_token = %s", lease.token)
    assert predict_shard(_local(bench), run_id=lease.run_id, step=STEP, index=0) == []
    bench.assert_exactly_once()
