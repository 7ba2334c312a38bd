"""Runs are opened once, one at a time is at work, and the others wait their turn."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from batchord.core.errors import ConfigurationError
from batchord.core.run.runs import Kind, NewRun, NewStep, Run, RunState, StepState
from batchord.ledger.runs import Opened
from tests.integration.flow_parts import Bench

SLOT = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS = (NewStep(name="score"),)
AT_ONCE = 8


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """The ledger of this test."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def manual(*, pipeline: str = "items", request: str | None = None) -> NewRun:
    """A run that a person starts by hand."""
    return NewRun(pipeline=pipeline, kind=Kind.MANUAL, trigger="call", request=request, steps=STEPS)


def scheduled(*, slot: datetime = SLOT, overlap: str = "skip") -> NewRun:
    """A run of a tick."""
    return NewRun(pipeline="items", kind=Kind.SCHEDULED, trigger="schedule", slot=slot, steps=STEPS, overlap=overlap)


def open_at_once(bench: Bench, *wanted: NewRun) -> list[Opened]:
    """Opens each in a thread of its own, all at the same moment."""
    barrier = Barrier(len(wanted))

    def open_one(new: NewRun) -> Opened:
        barrier.wait()
        return bench.ledger.runs.open(new)

    with ThreadPoolExecutor(len(wanted)) as threads:
        return list(threads.map(open_one, wanted))


def start(bench: Bench, run: Run) -> bool:
    """Whether a queued run became a running one."""
    with bench.ledger.runs.lock(run.id) as locked:
        return locked.start()


def end(bench: Bench, run: Run) -> str | None:
    """Ends a run and returns the id of the next one."""
    with bench.ledger.runs.lock(run.id) as locked:
        return locked.end(RunState.SUCCEEDED, {}, None)


def test_a_tick_sent_eight_times_at_once_opens_one_run(bench: Bench) -> None:
    """One run per pipeline, kind and slot, for any number of requests at any time."""
    opened = open_at_once(bench, *[scheduled()] * AT_ONCE)
    assert sum(one.created for one in opened) == 1
    assert len({one.run.id for one in opened}) == 1
    assert bench.value("SELECT count(*) FROM batchord.steps") == 1


def test_a_request_delivered_eight_times_at_once_opens_one_run(bench: Bench) -> None:
    """A message that the broker repeats names the same request; requests without a name are runs of their own."""
    named = open_at_once(bench, *[manual(request="message 1")] * AT_ONCE)
    assert sum(one.created for one in named) == 1
    assert len({one.run.id for one in named}) == 1
    nameless = open_at_once(bench, manual(), manual())
    assert len({one.run.id for one in nameless}) == 2


def test_one_run_of_a_pipeline_is_at_work_however_many_start_at_once(bench: Bench) -> None:
    """Eight runs are driven in eight threads: the oldest starts, the others stay queued."""
    runs = [bench.ledger.runs.open(manual()).run for _ in range(AT_ONCE)]
    barrier = Barrier(AT_ONCE)

    def start_one(run: Run) -> bool:
        barrier.wait()
        return start(bench, run)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        started = list(threads.map(start_one, runs))
    assert started == [True] + [False] * (AT_ONCE - 1)


def test_runs_of_two_pipelines_are_at_work_together(bench: Bench) -> None:
    """A pipeline waits for its own runs only."""
    for pipeline in ("items", "others"):
        assert start(bench, bench.ledger.runs.open(manual(pipeline=pipeline)).run)


def windowed(hour: int, *, hours: int = 1, kind: Kind = Kind.MANUAL) -> NewRun:
    """A run of a window; two of its pipeline may be at work at once."""
    start = SLOT.replace(hour=hour)
    return replace(manual(), kind=kind, window_start=start, window_end=start + timedelta(hours=hours), max_active=2)


def test_as_many_runs_are_at_work_at_once_as_the_pipeline_allows(bench: Bench) -> None:
    """The oldest first, in eight threads; the third starts when one of the two has ended."""
    runs = [bench.ledger.runs.open(windowed(hour)).run for hour in range(AT_ONCE)]
    barrier = Barrier(AT_ONCE)

    def start_one(run: Run) -> bool:
        barrier.wait()
        return start(bench, run)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in range(2):  # a thread that came before those of older runs is turned away
            list(threads.map(start_one, runs))
    states = [bench.ledger.runs.get(run.id).state for run in runs]
    assert states == [RunState.RUNNING] * 2 + [RunState.QUEUED] * (AT_ONCE - 2)
    assert end(bench, runs[1]) == runs[2].id
    assert start(bench, runs[2])
    assert not start(bench, runs[3])


@pytest.mark.parametrize(
    "second",
    [windowed(12), windowed(13), windowed(11, hours=2), windowed(0, hours=24), replace(manual(), max_active=2)],
)
def test_runs_whose_windows_overlap_are_not_at_work_at_once(bench: Bench, second: NewRun) -> None:
    """They would predict the same records; a run without a window reads all. Without Predict steps it does no harm."""
    first = bench.ledger.runs.open(windowed(12, hours=2)).run
    assert start(bench, first)
    waiting = bench.ledger.runs.open(second).run
    assert not start(bench, waiting)
    assert end(bench, first) == waiting.id
    assert start(bench, waiting)
    assert start(bench, bench.ledger.runs.open(replace(second, disjoint=False)).run)


@pytest.mark.parametrize("beside", [windowed(11), windowed(14)])
def test_windows_that_only_touch_are_at_work_at_once(bench: Bench, beside: NewRun) -> None:
    """A window reaches up to its end, and not to it."""
    for new in (windowed(12, hours=2), beside):
        assert start(bench, bench.ledger.runs.open(new).run)


def test_what_fills_the_past_waits_for_whatever_else_there_is(bench: Bench) -> None:
    """Also where it was asked for first."""
    past = bench.ledger.runs.open(replace(windowed(1, kind=Kind.BACKFILL), max_active=1)).run
    present = bench.ledger.runs.open(manual()).run
    assert not start(bench, past)
    assert start(bench, present)
    assert end(bench, present) == past.id
    assert start(bench, past)


def test_of_events_that_would_see_the_same_one_waits(bench: Bench) -> None:
    """With overlap ``coalesce`` a run waits for the one at work; a second one would be one too many."""
    event = replace(manual(), kind=Kind.EVENT, overlap="coalesce")
    first, second, third = (bench.ledger.runs.open(replace(event, request=str(number))).run for number in range(3))
    assert (first.state, second.state) == (RunState.QUEUED, RunState.SKIPPED)
    assert start(bench, first)
    waiting, more = (bench.ledger.runs.open(replace(event, request=str(number))).run for number in (3, 4))
    assert (waiting.state, more.state, third.state) == (RunState.QUEUED, RunState.SKIPPED, RunState.SKIPPED)
    assert end(bench, first) == waiting.id


def test_a_tick_during_a_run_is_recorded_as_skipped(bench: Bench) -> None:
    """With overlap ``skip`` nothing is done silently: the run is there, ended, and has no steps."""
    first = bench.ledger.runs.open(scheduled()).run
    assert start(bench, first)
    late = bench.ledger.runs.open(scheduled(slot=SLOT.replace(hour=13)))
    assert late.created
    skipped = bench.ledger.runs.get(late.run.id)
    assert skipped.state is RunState.SKIPPED
    assert skipped.seconds is None
    assert skipped.finished_at == skipped.created_at
    assert end(bench, first) is None, "a skipped run is not the next one"


def test_of_two_ticks_at_once_one_is_skipped(bench: Bench) -> None:
    """Each sees the other's run, also when both are opened in the same instant."""
    opened = open_at_once(bench, *[scheduled(slot=SLOT.replace(minute=minute)) for minute in range(AT_ONCE)])
    states = [one.run.state for one in opened]
    assert states.count(RunState.SKIPPED) == AT_ONCE - 1


def test_queued_runs_start_in_the_order_in_which_they_were_opened(bench: Bench) -> None:
    """The first run's end names the second, and so on; none overtakes."""
    runs = [bench.ledger.runs.open(new).run for new in (manual(), scheduled(overlap="queue"), manual())]
    assert start(bench, runs[0])
    assert end(bench, runs[0]) == runs[1].id
    assert not start(bench, runs[2]), "an older one is queued"
    assert start(bench, runs[1])
    assert end(bench, runs[1]) == runs[2].id
    assert start(bench, runs[2])
    assert end(bench, runs[2]) is None


def test_what_happens_under_the_lock_is_rolled_back_when_the_block_raises(bench: Bench) -> None:
    """A driver that dies half-way leaves the run as it was."""
    run = bench.ledger.runs.open(manual()).run

    def start_and_die() -> None:
        with bench.ledger.runs.lock(run.id) as locked:
            assert locked.start()
            locked.set_steps(["score"], StepState.READY)
            raise TimeoutError

    with pytest.raises(TimeoutError):
        start_and_die()
    with bench.ledger.runs.lock(run.id) as locked:
        assert locked.run.state is RunState.QUEUED
        assert [step.state for step in locked.steps] == [StepState.PENDING]


def test_an_unknown_run_is_named(bench: Bench) -> None:
    """The message says which id, and where to look."""
    unknown = "019a0000-0000-7000-8000-000000000000"
    with pytest.raises(ConfigurationError, match=f"no run {unknown}.*batchord runs"):
        bench.ledger.runs.get(unknown)


def test_the_ledger_outlives_its_sessions(bench: Bench) -> None:
    """After the server ended every session, as in a restart, the next call connects anew."""
    run = bench.ledger.runs.open(manual()).run
    bench.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'batchord-ledger' AND datname = current_database()"
    )
    assert bench.ledger.runs.get(run.id) == run
