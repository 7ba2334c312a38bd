"""Discovered = predicted + rejected + pending, or the run says loudly that it is not so."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.errors import ConservationError
from batchord.core.run.runs import Run, RunState
from batchord.core.run.summary import check_conservation, rate, run_summary, step_summary
from batchord.core.run.totals import StepTotals

_EVEN = StepTotals(
    shards=2,
    open_shards=0,
    failed_shards=0,
    planned=10,
    discovered=10,
    predicted=8,
    rejected=2,
    predictions_written=8,
    rejections_written=2,
)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_counts_that_add_up_leave_nothing_pending() -> None:
    """The ordinary case."""
    assert check_conservation("r1", "score", _EVEN) == 0


def test_rows_may_leave_a_table_of_the_authors() -> None:
    """But none may come."""
    gone = _EVEN._replace(rows_may_go=True, predictions_written=5)

    assert check_conservation("r1", "score", gone) == 0
    for changed in ({"predictions_written": 9}, {"rejections_written": 1}):
        with pytest.raises(ConservationError):
            check_conservation("r1", "score", gone._replace(**changed))


def test_a_failed_shard_leaves_its_records_pending() -> None:
    """They are known to be missing; the next run takes them."""
    totals = _EVEN._replace(failed_shards=1, predicted=3, predictions_written=3)

    assert check_conservation("r1", "score", totals) == 5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"predictions_written": 7}, "does not add up"),
        ({"predictions_written": 9}, "does not add up"),
        ({"rejections_written": 1}, "does not add up"),
        ({"rejections_written": 3}, "does not add up"),
        ({"predictions_written": 9, "rejections_written": 1}, "does not add up"),
        ({"discovered": 9}, "does not add up"),
        ({"discovered": 11}, "1 pending record although no shard failed"),
        ({"predicted": 9, "predictions_written": 9}, "does not add up"),
        ({"discovered": 9, "failed_shards": 1}, "does not add up"),
    ],
)
def test_every_difference_is_a_violation(changed: dict[str, int], said: str) -> None:
    """Too many or too few, by the shards' own word or row by row; the message names run, step and next deed."""
    with pytest.raises(ConservationError, match=said) as raised:
        check_conservation("r1", "score", _EVEN._replace(**changed))

    for part in ("run r1", "tep score", "batchord audit"):
        assert part in str(raised.value)


@given(st.builds(StepTotals, *[st.integers(0, 4)] * 10))
def test_what_passes_adds_up(totals: StepTotals) -> None:
    """Whatever the ledger says: no violation means that every record is in exactly one place."""
    try:
        pending = check_conservation("r1", "score", totals)
    except ConservationError:
        return

    assert totals.discovered == totals.predictions_written + totals.rejections_written + pending
    assert pending >= 0
    assert pending == 0 or totals.failed_shards + totals.changed_shards > 0


@pytest.mark.parametrize(("elapsed", "rate"), [(100.0, 0.1), (4.0, None), (0.0, None), (None, None)])
def test_a_summary_has_a_rate_where_enough_was_measured(elapsed: float | None, rate: float | None) -> None:
    """No division by a step that took no time, and no rate of a few records."""
    aggregates: dict[str, Any] = {"elapsed": elapsed, "labels": {"good": 8}}

    summary = step_summary(_EVEN, aggregates, pending=0, model="m1")

    assert summary["records_per_second"] == rate
    assert summary["labels"] == {"good": 8}
    assert (summary["discovered"], summary["predicted"], summary["rejected"], summary["pending"]) == (10, 8, 2, 0)


@pytest.mark.parametrize(
    ("records", "elapsed", "expected"),
    [
        (3, 0.02, None),
        (50_000, 0.9, None),
        (99, 59.9, None),
        (100, 1.0, 100.0),
        (12_345, 10.0, 1234.5),
        (6, 60.0, 0.1),
        (0, 600.0, None),
        (10, None, None),
    ],
)
def test_a_rate_needs_time_and_records(records: int, elapsed: float | None, expected: float | None) -> None:
    """A shard's beginning and end cost more than a few records; a slow model's few records take long."""
    assert rate(records, elapsed) == expected


def test_records_that_came_into_a_range_after_the_plan_are_told() -> None:
    """Planned is what discovery saw, discovered what the workers found."""
    summary = step_summary(_EVEN._replace(planned=7), {"elapsed": 1.0}, pending=0, model="m1")

    assert summary["changed_since_planned"] == 3


def test_a_run_adds_up_as_its_steps_do() -> None:
    """Pending is what is left of discovered."""
    run = Run(
        id="r1",
        pipeline="p",
        kind="manual",
        trigger="cli",
        slot=None,
        window_start=None,
        window_end=None,
        state=RunState.RUNNING,
        params={},
        full_scan=False,
        rerun_of=None,
        models={},
        discovered=10,
        predicted=6,
        rejected=1,
        summary=None,
        error=None,
        created_at=_NOW,
        started_at=_NOW,
        finished_at=None,
    )

    assert run_summary(run, {"score": {"pending": 3}}) == {
        "discovered": 10,
        "predicted": 6,
        "rejected": 1,
        "pending": 3,
        "steps": {"score": {"pending": 3}},
    }
    assert run.seconds is None
