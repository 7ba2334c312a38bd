"""Lists of runs by page and by time."""

from datetime import UTC, datetime, timedelta

import pytest

from batchord.core.errors import ConfigurationError
from batchord.core.run.run_lists import RunFilter
from batchord.core.run.runs import RunState
from batchord.reports.run_lists import RunCell, filter_values, grid_of, run_grid, runs_page
from tests.integration.flow_parts import Bench

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def cell(pipeline: str, minutes: float) -> RunCell:
    """A run of the pipeline so many minutes after noon."""
    return RunCell(
        id=f"{pipeline}-{minutes}",
        pipeline=pipeline,
        state=RunState.SUCCEEDED,
        trigger="schedule",
        created_at=NOON + timedelta(minutes=minutes),
        started_at=None,
        finished_at=None,
        predicted=0,
        rejected=0,
    )


def test_pages_leave_out_no_run_and_repeat_none(bench: Bench) -> None:
    """Also where several runs were created at the same time."""
    bench.insert(1)
    bench.declare()
    ids = [bench.run().id for _ in range(5)]
    bench.sql("UPDATE batchord.runs SET created_at = '2026-03-01 12:00+00'")

    seen, before = [], None
    for _ in range(3):
        page = runs_page(bench.ledger, RunFilter(), before=before, limit=2)
        seen += [each.run.id for each in page.runs]
        before = page.older
    assert seen == sorted(ids, reverse=True)
    assert before is None


def test_a_list_is_filtered_by_all_conditions(bench: Bench) -> None:
    """Pipeline, state, trigger, from and before a time."""
    bench.insert(1)
    bench.declare()
    bench.run()
    bench.declare(name="other")
    other = bench.run("other")
    bench.sql("UPDATE batchord.runs SET created_at = '2026-03-02 12:00+00', trigger = 'flower' WHERE id = %s", other.id)

    def found(**wanted: object) -> list[str]:
        return [each.run.pipeline for each in runs_page(bench.ledger, RunFilter(**wanted), limit=9).runs]  # type: ignore[arg-type]

    assert len(found()) == 2
    assert found(pipeline="other") == found(trigger="flower") == found(start=NOON, end=NOON + timedelta(1)) == ["other"]
    assert found(end=NOON) == found(state=RunState.FAILED) == found(pipeline="other", trigger="schedule") == []
    assert filter_values(bench.ledger).pipelines == ["items", "other"]
    assert "flower" in filter_values(bench.ledger).triggers


@pytest.mark.parametrize("before", ["", "x", "2026-03-01T00:00:00_x", "2026-03-01T00:00:00+00:00_not-an-id"])
def test_an_address_that_was_cut_is_refused(bench: Bench, before: str) -> None:
    """Not answered with other runs."""
    with pytest.raises(ConfigurationError, match="Begin with the newest runs"):
        runs_page(bench.ledger, RunFilter(), before=before, limit=2)


def test_runs_of_the_same_time_stand_below_each_other() -> None:
    """A pipeline with several runs in that time widens it for all."""
    grid = grid_of([cell("a", 0), cell("b", 0.2), cell("b", 0.4), cell("a", 3)])

    assert grid.times == [NOON, NOON, NOON + timedelta(minutes=3)]
    rows = {name: [None if each is None else each.id for each in cells] for name, cells in grid.rows}
    assert rows == {"a": ["a-0", None, "a-3"], "b": ["b-0.2", "b-0.4", None]}


def test_a_grid_stays_narrow() -> None:
    """Minutes become hours, days or weeks. The newest columns stay."""
    busy = [cell("busy", minutes) for minutes in range(0, 600_000, 1_000)]
    grid = grid_of(busy)
    assert len(grid.times) == 120
    assert grid.rows[0][1][-1] == busy[-1]
    assert grid_of([]).rows == []


def test_the_grid_has_the_newest_runs_of_each_pipeline(bench: Bench) -> None:
    """In the order of names."""
    bench.insert(1)
    for name in ("b", "a"):
        bench.declare(name=name)
        bench.run(name)
    grid = run_grid(bench.ledger, RunFilter(), ["a", "b", "gone"])
    assert [name for name, _ in grid.rows] == ["a", "b"]
    assert [name for name, _ in run_grid(bench.ledger, RunFilter(pipeline="b"), ["a", "b"]).rows] == ["b"]
