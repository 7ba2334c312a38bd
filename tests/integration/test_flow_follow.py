"""One pipeline follows another: once for each run of it that ends as it should."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batchord import Python
from batchord.core.calendar.schedules import EARLIEST, after_pipeline, every
from batchord.core.run.messages import FollowUp, RunEnded
from batchord.core.run.runs import Kind, Run, RunState
from batchord.flow.begin.follow import followers
from batchord.flow.begin.rerun import rerun
from batchord.flow.begin.start import AFTER, start_run, tick
from batchord.flow.upkeep.recover import sweep
from batchord.flow.upkeep.switch import pause
from batchord.flow.upkeep.watch import watch
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, Bench
from tests.integration.graph_parts import Calls, declare_graph, opened, ran, scoring

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOWED = SqlSource(
    "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end", key="id"
)


@pytest.fixture
def calls() -> Calls:
    """What was called in this test."""
    return Calls()


@pytest.fixture
def bench(database_url: str, tmp_path: Path, calls: Calls) -> Iterator[Bench]:
    """``items``, and ``next``, which follows it; both are known."""
    with Bench(database_url, tmp_path) as bench:
        declare_graph(bench, calls.step("a"))
        declare_graph(bench, calls.step("b"), name="next", schedule=after_pipeline(ITEMS))
        watch(bench.parts())
        yield bench


def runs(bench: Bench, pipeline: str = "next") -> list[Run]:
    """The runs of a pipeline, oldest first."""
    ids = bench.column("SELECT id::text FROM batchord.runs WHERE pipeline = %s ORDER BY created_at, id", pipeline)
    return [bench.ledger.runs.get(run_id) for run_id in ids]


def ended_alone(bench: Bench) -> str:
    """The id of an ended run of ``items`` whose message to the followers was lost."""
    run_id, (message,) = opened(bench)
    bench.work(message)
    assert bench.ledger.runs.get(run_id).state is RunState.SUCCEEDED
    return run_id


def follow(bench: Bench, run_id: str) -> Run:
    """The message that asks for the follower's run."""
    return start_run(bench.parts(), pipeline="next", trigger=AFTER, after_run=run_id)[0]


def test_a_run_is_followed(bench: Bench, calls: Calls) -> None:
    """The follower's run shows its trigger and the run that it follows."""
    first = ran(bench)
    (run,) = runs(bench)
    assert (run.state, run.kind, run.trigger, run.slot) == (RunState.SUCCEEDED, Kind.EVENT, "after items", None)
    assert calls.made == ["a", "b"]
    assert follow(bench, first.id).id == run.id


def test_it_is_followed_once_however_often_the_message_comes(bench: Bench, calls: Calls) -> None:
    """Eight workers at once, and once more later."""
    run_id = ended_alone(bench)
    with ThreadPoolExecutor(8) as pool:
        found = {run.id for run in pool.map(lambda _: follow(bench, run_id), range(8))}
    assert len(found) == 1
    assert [run.id for run in runs(bench)] == list(found)
    assert follow(bench, run_id).id in found
    assert calls.made == ["a"]


@pytest.mark.parametrize(
    ("wanted", "state", "expected"),
    [
        (("succeeded",), RunState.SUCCEEDED, True),
        (("succeeded",), RunState.FAILED, False),
        (("failed", "partial"), RunState.FAILED, True),
        (("failed", "partial"), RunState.SUCCEEDED, False),
        ("partial", RunState.PARTIAL, True),
    ],
)
def test_only_the_ends_that_were_asked_for_are_followed(
    bench: Bench, calls: Calls, wanted: Any, state: RunState, expected: bool  # noqa: FBT001
) -> None:  # fmt: skip
    """By the message and by the sweeper alike."""
    declare_graph(bench, calls.step("b"), name="next", schedule=after_pipeline(ITEMS, states=wanted))
    run_id = ended_alone(bench)
    bench.sql("UPDATE batchord.runs SET state = %s WHERE id = %s", state.value, run_id)
    asked = [FollowUp(pipeline="next", after_run=run_id)] if expected else []
    assert followers(bench.catalog, RunEnded(run_id=run_id, pipeline=ITEMS, state=state)) == asked
    assert sweep(bench.parts(), older_than_seconds=0) == asked


def test_an_end_whose_message_was_lost_is_found(bench: Bench, calls: Calls) -> None:
    """Only after the message had time to arrive, only once, and only for a limited time."""
    run_id = ended_alone(bench)
    assert sweep(bench.parts(), older_than_seconds=60) == []
    messages = sweep(bench.parts(), older_than_seconds=0)
    assert messages == [FollowUp(pipeline="next", after_run=run_id)]
    bench.run_on(run_id, messages)
    assert calls.made == ["a", "b"]
    assert sweep(bench.parts(), older_than_seconds=0) == []


def test_what_ended_days_ago_is_not_followed(bench: Bench) -> None:
    """A person who repairs a system on Monday does not want Friday's events."""
    run_id = ended_alone(bench)
    bench.sql("UPDATE batchord.runs SET finished_at = finished_at - interval '25 hours' WHERE id = %s", run_id)
    bench.sql("UPDATE batchord.pipelines SET first_seen_at = first_seen_at - interval '9 days'")
    assert sweep(bench.parts(), older_than_seconds=0) == []


def test_a_follower_that_came_later_follows_no_earlier_run(bench: Bench, calls: Calls) -> None:
    """Its file was added after that end."""
    ended_alone(bench)
    declare_graph(bench, calls.step("c"), name="late", schedule=after_pipeline(ITEMS))
    watch(bench.parts())
    assert [message for message in sweep(bench.parts(), older_than_seconds=0) if message.pipeline == "late"] == []  # type: ignore[union-attr]


def test_a_paused_follower_passes_it_over(bench: Bench, calls: Calls) -> None:
    """It is recorded as skipped and not asked again. After a resume it follows the next event."""
    pause(bench.parts(), pipeline="next", paused=True)
    ran(bench)
    (skipped,) = runs(bench)
    assert (skipped.state, skipped.error) == (RunState.SKIPPED, "the pipeline was paused")
    assert sweep(bench.parts(), older_than_seconds=0) == []
    pause(bench.parts(), pipeline="next", paused=False)
    ran(bench)
    assert [run.state for run in runs(bench)] == [RunState.SKIPPED, RunState.SUCCEEDED]
    assert calls.made == ["a", "a", "b"]


def test_events_that_one_run_will_see_are_one_run(bench: Bench) -> None:
    """The run at work has begun before the second and third event; one more run sees what both brought."""
    declare_graph(bench, scoring(), name="next", schedule=after_pipeline(ITEMS))
    first, second, third = (ended_alone(bench) for _ in range(3))
    states = [follow(bench, run_id).state for run_id in (first, second, third)]
    assert states == [RunState.RUNNING, RunState.QUEUED, RunState.SKIPPED]
    assert runs(bench)[-1].error == "a queued run will read the same records"
    assert follow(bench, third).state is RunState.SKIPPED


def test_a_rerun_that_waits_does_not_see_what_an_event_brought(bench: Bench) -> None:
    """It may repeat a single step: the event gets a run of its own."""
    first, second = (ended_alone(bench) for _ in range(2))
    old = follow(bench, first)
    bench.run_on(old.id, sweep(bench.parts(), older_than_seconds=0))
    start_run(bench.parts(), pipeline="next", trigger="call")
    rerun(bench.parts(), run_id=old.id, from_step="b")
    third = ended_alone(bench)
    assert [follow(bench, run_id).state for run_id in (second, third)] == [RunState.SUCCEEDED, RunState.QUEUED]


def test_the_window_is_handed_on(bench: Bench) -> None:
    """The follower reads the same window. Events with different windows are never merged into one run."""
    seen: list[Any] = []
    declare_graph(bench, Calls().step("a"), schedule=every(hours=1))
    follower = [Python("b", lambda run: seen.append((run.window_start, run.window_end))), scoring(source=WINDOWED)]
    declare_graph(bench, *follower, name="next", schedule=after_pipeline(ITEMS))
    hour = timedelta(hours=1)
    ticks = []
    for hours in range(3):
        (run,), (message,) = tick(bench.parts(), pipeline=ITEMS, now=NOON + hours * hour)
        ticks += bench.work(message)
        assert bench.ledger.runs.get(run.id).state is RunState.SUCCEEDED
    # All three events come at once.
    bench.run_on(runs(bench, ITEMS)[0].id, ticks or sweep(bench.parts(), older_than_seconds=0))
    assert sorted(seen) == [(NOON + (n - 1) * hour, NOON + n * hour) for n in range(3)]


def test_a_chain_of_three(bench: Bench, calls: Calls) -> None:
    """The end of each starts the next; a failure in the middle ends the chain."""
    declare_graph(bench, calls.step("c"), name="third", schedule=after_pipeline("next"))
    ran(bench)
    assert calls.made == ["a", "b", "c"]
    declare_graph(bench, calls.failing("b"), name="next", schedule=after_pipeline(ITEMS))
    ran(bench)
    assert calls.made == ["a", "b", "c", "a", "b"]
    assert len(runs(bench, "third")) == 1


def test_two_may_follow_one(bench: Bench, calls: Calls) -> None:
    """Each has its own run for the event."""
    declare_graph(bench, calls.step("c"), name="other", schedule=after_pipeline(ITEMS))
    ran(bench)
    assert sorted(calls.made) == ["a", "b", "c"]


def test_a_run_of_a_follower_by_hand_is_no_event(bench: Bench, calls: Calls) -> None:
    """Its window is its own, and the next event is not taken for it."""
    by_hand = ran(bench, "next")
    assert (by_hand.kind, by_hand.window_start) == ("manual", EARLIEST)
    ran(bench)
    assert calls.made == ["b", "a", "b"]
