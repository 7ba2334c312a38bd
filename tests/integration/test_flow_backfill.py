"""A range of the past is filled: one run for each window, oldest first, after everything else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batchord.core.calendar.schedules import every
from batchord.core.errors import ConfigurationError, UnknownPipeline
from batchord.core.run.runs import Run, RunState
from batchord.flow.begin.backfill import fill_windows
from batchord.flow.begin.start import tick
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.upkeep.recover import sweep
from batchord.flow.upkeep.switch import reschedule
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, Bench
from tests.integration.graph_parts import Calls, declare_graph, opened, scoring

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOWED = SqlSource(
    "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end", key="id"
)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """An hourly pipeline of one function."""
    with Bench(database_url, tmp_path) as bench:
        declare_graph(bench, Calls().step("a"), schedule=every(hours=1))
        yield bench


def filled(bench: Bench, hours: float = 4, **options: Any) -> tuple[list[Run], list[Any]]:
    """A backfill of the first hours of the day."""
    return fill_windows(bench.parts(), pipeline=ITEMS, start=DAY, end=DAY + hours * HOUR, **options)


def started(bench: Bench) -> list[tuple[str, datetime]]:
    """Kind and window's end of each run, in the order in which they were started."""
    return bench.sql("SELECT kind, window_end FROM batchord.runs WHERE started_at IS NOT NULL ORDER BY started_at")


def test_each_window_is_a_run(bench: Bench) -> None:
    """Oldest first, with the parameters that were given; they abut and cover the range."""
    runs, messages = filled(bench, params={"city": "Ulm"})
    assert [(run.window_start, run.window_end) for run in runs] == [
        (DAY + n * HOUR, DAY + (n + 1) * HOUR) for n in range(4)
    ]
    assert all((run.kind, run.slot, run.params) == ("backfill", None, {"city": "Ulm"}) for run in runs)
    assert bench.run_on(runs[0].id, messages).state is RunState.SUCCEEDED
    ended = [bench.ledger.runs.get(run.id) for run in runs]
    assert {run.state for run in ended} == {RunState.SUCCEEDED}
    assert all(before.finished_at <= after.started_at for before, after in pairwise(ended))  # type: ignore[operator]


def test_only_as_many_as_may_be_are_at_work(bench: Bench) -> None:
    """The sweeper starts no further runs either."""
    declare_graph(bench, Calls().step("a"), schedule=every(hours=1), max_active_runs=2)
    runs, messages = filled(bench)
    assert [bench.ledger.runs.get(run.id).state.value for run in runs] == ["running", "running", "queued", "queued"]
    assert len(messages) == 2
    bench.sql("UPDATE batchord.runs SET created_at = created_at - interval '1 hour', started_at = created_at")
    bench.sql("UPDATE batchord.steps SET sent_at = sent_at - interval '1 hour'")
    resent = sweep(bench.parts())
    assert {message.run_id for message in resent} == {run.id for run in runs[:2]}  # type: ignore[union-attr]


def test_a_range_is_filled_once_while_it_is_open(bench: Bench) -> None:
    """The command given twice opens nothing more, a wider one only what is not there; afterwards it may be repeated."""
    runs, messages = filled(bench)
    assert filled(bench) == ([], [])
    more, _ = filled(bench, 6)
    assert [run.window_end for run in more] == [DAY + 5 * HOUR, DAY + 6 * HOUR]
    bench.run_on(runs[0].id, messages)
    assert len(filled(bench)[0]) == 4


def test_whatever_else_comes_goes_first(bench: Bench) -> None:
    """A tick, and a run by hand, wait for the window at work and for no other."""
    runs, messages = filled(bench)
    (scheduled,), _ = tick(bench.parts(), pipeline=ITEMS, now=DAY + 10 * HOUR)
    by_hand, _ = opened(bench)
    assert scheduled.state is RunState.QUEUED
    bench.run_on(runs[0].id, messages)
    kinds = [kind for kind, _ in started(bench)]
    assert kinds == ["backfill", "scheduled", "manual", "backfill", "backfill", "backfill"]
    windows = [end for kind, end in started(bench) if kind == "backfill"]
    assert windows == sorted(windows)
    assert bench.ledger.runs.get(by_hand).state is RunState.SUCCEEDED


def test_no_tick_is_skipped_for_a_backfill(bench: Bench) -> None:
    """Neither for the window at work nor for those that wait; a second tick is, for the first that waits."""
    filled(bench)
    states = [tick(bench.parts(), pipeline=ITEMS, now=DAY + n * HOUR)[0][0].state for n in (10, 11)]
    assert states == [RunState.QUEUED, RunState.SKIPPED]


def test_a_window_that_was_cancelled_lets_the_next_go_on(bench: Bench) -> None:
    """It can be asked for again."""
    runs, _ = filled(bench)
    bench.run_on(runs[0].id, cancel_run(bench.parts(), run_id=runs[0].id))
    assert [bench.ledger.runs.get(run.id).state.value for run in runs] == ["cancelled", *["succeeded"] * 3]
    again, _ = filled(bench, 1)
    assert [run.window_end for run in again] == [DAY + HOUR]


def test_only_whole_windows_are_filled(bench: Bench) -> None:
    """A window that the range cuts off is not filled."""
    runs, _ = fill_windows(
        bench.parts(), pipeline=ITEMS, start=DAY + HOUR / 2, end=DAY + 3.5 * HOUR
    )  # fmt: skip
    assert [run.window_end for run in runs] == [DAY + 2 * HOUR, DAY + 3 * HOUR]


def test_windows_are_those_of_the_schedule_as_it_is_now(bench: Bench) -> None:
    """Switched at run time, too."""
    reschedule(bench.parts(), pipeline=ITEMS, schedule=every(hours=2))
    assert [run.window_end for run in filled(bench)[0]] == [DAY + 2 * HOUR, DAY + 4 * HOUR]


def test_without_a_schedule_the_range_is_one_window(bench: Bench) -> None:
    """The window has the range's own bounds."""
    declare_graph(bench, Calls().step("a"))
    assert [(run.window_start, run.window_end) for run in filled(bench, 2.5)[0]] == [(DAY, DAY + 2.5 * HOUR)]


@pytest.mark.parametrize(
    ("hours", "said"),
    [(0, "The range is empty"), (-1, "The range is empty"), (0.5, "No window of items"), (10_001, "more than 10,000")],
)
def test_a_range_that_cannot_be_filled_is_refused(bench: Bench, hours: float, said: str) -> None:
    """Nothing is opened."""
    with pytest.raises(ConfigurationError, match=said):
        filled(bench, hours)
    assert bench.value("SELECT count(*) FROM batchord.runs") == 0


def test_a_pipeline_without_windows_has_none_to_fill(bench: Bench) -> None:
    """Whose only steps predict all there is; an unknown one has nothing at all."""
    bench.declare()
    with pytest.raises(ConfigurationError, match="has no window"):
        filled(bench)
    with pytest.raises(UnknownPipeline):
        fill_windows(bench.parts(), pipeline="nobody", start=DAY, end=DAY + HOUR)


def test_a_backfill_predicts_the_past_and_nothing_twice(bench: Bench) -> None:
    """Each record in its own window's run; filled again there is nothing left."""
    bench.sql(
        "INSERT INTO records (body, created_at) SELECT 'x', %s + n * interval '20 minutes' "
        "FROM generate_series(0, 11) AS n",
        DAY,
    )
    declare_graph(bench, scoring(source=WINDOWED), schedule=every(hours=1))
    runs, messages = filled(bench)
    bench.run_on(runs[0].id, messages)
    assert [bench.ledger.runs.get(run.id).predicted for run in runs] == [3, 3, 3, 3]
    again, messages = filled(bench)
    bench.run_on(again[0].id, messages)
    assert {bench.ledger.runs.get(run.id).discovered for run in again} == {0}
    bench.assert_exactly_once()
