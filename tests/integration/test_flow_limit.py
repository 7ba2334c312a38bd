"""A run that rejects more than its limit fails, keeps its predictions, and alerts people once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord.core.declared.limits import RejectionLimit
from batchord.core.run.alerts import AlertKind, NewAlert
from batchord.core.run.messages import AlertsKept, RunEnded
from batchord.core.run.runs import RunState
from batchord.flow.drive.finish import finish_step
from batchord.flow.predict.shard import predict_shard
from tests.integration.flow_parts import ITEMS, STEP, Bench

STRICT = RejectionLimit(share=0.2, count=2)
#: The last line of an alert about a run.
LOOK = "Look closer: batchord show {0}; batchord logs {0}"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Twelve records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        yield bench


def refusing(count: int) -> Any:
    """A model without a score for so many records."""

    def refusing(frame: pd.DataFrame) -> "pd.Series[Any]":
        lengths = frame["body"].str.len()
        return lengths.where(lengths > count, float("inf"))

    return refusing


def alerts(bench: Bench) -> list[tuple[str, str]]:
    """The alerts by event."""
    rows = bench.sql("SELECT event, message FROM batchord.alerts ORDER BY id")
    return [(event, message) for event, message in rows]


def test_a_run_over_its_limit_fails_with_the_figures_and_what_to_do(bench: Bench) -> None:
    """What was predicted stays, and the error stands in the run and in an alert."""
    bench.declare(refusing(3), rejection_limit=STRICT)
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.PARTIAL, 9, 3)
    assert run.error is not None
    assert "3 of 12 records were rejected, more than the limit of 20% and 2" in run.error
    assert f"`batchord rejections`, fix the cause, then run `batchord retry {ITEMS}`" in run.error
    ((event, message),) = alerts(bench)
    assert event == f"rejection-limit:{run.id}:{STEP}", "that the run is partial is no news besides"
    said = run.error.removeprefix(f"step {STEP}: ")
    assert message == f"Step {STEP} of run {run.id} of {ITEMS}: {said}\n{LOOK.format(run.id)}"
    bench.assert_exactly_once()


@pytest.mark.parametrize("limit", [RejectionLimit(share=0.25, count=2), RejectionLimit(share=0.2, count=3)])
def test_a_run_at_its_limit_succeeds(bench: Bench, limit: RejectionLimit) -> None:
    """Share and count must both be exceeded; reaching them is allowed. There is no alert."""
    bench.declare(refusing(3), rejection_limit=limit)
    run = bench.run()
    assert (run.state, run.rejected, run.error) == (RunState.SUCCEEDED, 3, None)
    assert alerts(bench) == []


def test_rejections_of_a_small_run_are_accepted_by_default(bench: Bench) -> None:
    """Eleven bad records of twelve raise no alert. With twelve of twelve the model would have given nothing."""
    bench.declare(refusing(11))
    assert bench.run().state is RunState.SUCCEEDED


def test_a_large_run_that_rejects_most_fails_by_default(bench: Bench) -> None:
    """More than a hundred, and more than half."""
    bench.insert(200)
    bench.sql("UPDATE records SET body = 'x' WHERE id <= 120")
    bench.declare(refusing(1))
    run = bench.run()
    assert (run.state, run.rejected) == (RunState.PARTIAL, 120)
    assert "more than the limit of 50% and 100" in (run.error or "")


def test_people_are_alerted_once_even_if_a_step_is_finished_again(bench: Bench) -> None:
    """The chord's body and the sweeper both come, and come again; only the first wants messages sent."""
    bench.declare(refusing(3), rejection_limit=STRICT)
    run_id, _ = bench.planned(parallelism=1)
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    said = [finish_step(bench.parts(), run_id=run_id, step=STEP) for _ in range(3)]
    assert said == [[RunEnded(run_id=run_id, pipeline=ITEMS, state=RunState.PARTIAL), AlertsKept()], [], []]
    again = NewAlert(
        event=f"rejection-limit:{run_id}:{STEP}",
        kind=AlertKind.REJECTION_LIMIT,
        pipeline=ITEMS,
        title="once more",
        message="once more",
    )
    with bench.ledger.runs.lock(run_id) as locked:
        assert not locked.alert(again)
    assert len(alerts(bench)) == 1


def test_a_failed_run_is_reported_with_its_error(bench: Bench) -> None:
    """For any cause of the failure."""
    bench.declare(lambda frame: frame["no such column"])
    run = bench.run()
    said = f"Run {run.id} of {ITEMS} ended as failed.\n{run.error}\n{LOOK.format(run.id)}"
    assert alerts(bench) == [(f"run-failed:{run.id}", said)]


def test_the_limit_of_a_pipeline_that_is_gone_is_the_default(bench: Bench) -> None:
    """Its file went while the run was at work: the run ends all the same."""
    bench.declare(refusing(3), rejection_limit=STRICT)
    run_id, _ = bench.planned(parallelism=1)
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    bench.catalog.pipelines.clear()
    finish_step(bench.parts(), run_id=run_id, step=STEP)
    assert bench.ledger.runs.get(run_id).state is RunState.SUCCEEDED
