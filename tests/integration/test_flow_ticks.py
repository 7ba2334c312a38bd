"""Ticks become runs: one for each due slot, for any number of ticks and any delay."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batchord.core.calendar.schedules import EARLIEST, after_pipeline, every, once
from batchord.core.run.runs import Run, RunState
from batchord.flow.begin import slots
from batchord.flow.begin.start import tick
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.upkeep.switch import pause, reschedule
from batchord.flow.upkeep.watch import watch
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, Bench, _handle
from tests.integration.graph_parts import Calls, declare_graph, opened, scoring

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOWED = SqlSource(
    "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end", key="id"
)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No pipeline, no records."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def hourly(bench: Bench, **options: Any) -> None:
    """An hourly pipeline of one function."""
    declare_graph(bench, Calls().step("a"), **{"schedule": every(hours=1), **options})


def ticked(bench: Bench, now: datetime) -> list[Run]:
    """The runs that a tick opened or found."""
    return tick(bench.parts(), pipeline=ITEMS, now=now)[0]


def worked_off(bench: Bench, now: datetime) -> list[Run]:
    """The runs of a tick, at their end."""
    runs, messages = tick(bench.parts(), pipeline=ITEMS, now=now)
    for run in runs[:1]:
        bench.run_on(run.id, messages)
    return [bench.ledger.runs.get(run.id) for run in runs]


def known_since(bench: Bench, ago: timedelta) -> None:
    """The pipeline is known since then."""
    watch(bench.parts())
    bench.sql("UPDATE batchord.pipelines SET first_seen_at = clock_timestamp() - %s", ago)


def test_a_tick_is_the_newest_slot_s(bench: Bench) -> None:
    """However late it comes, the slot is the schedule's own time, and the window ends with it."""
    hourly(bench)
    (run,) = ticked(bench, NOON + timedelta(minutes=59, seconds=59))
    assert (run.slot, run.window_start, run.window_end) == (NOON, NOON - HOUR, NOON)
    assert (run.kind, run.trigger, run.state) == ("scheduled", "schedule", RunState.RUNNING)


def test_a_tick_that_comes_twice_is_one_run(bench: Bench) -> None:
    """Eight at once, and one after its end."""
    hourly(bench)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ticked(bench, NOON)[0].id, range(8)))
    assert len(set(found)) == 1
    cancel_run(bench.parts(), run_id=found[0])
    assert tick(bench.parts(), pipeline=ITEMS, now=NOON)[1] == []
    assert bench.value("SELECT count(*) FROM batchord.runs") == 1


def test_missed_slots_are_let_go(bench: Bench) -> None:
    """With catchup="latest" the newest stands for them; where the source has no window nothing is missed by that."""
    hourly(bench)
    worked_off(bench, NOON)
    assert [run.slot for run in ticked(bench, NOON + 5 * HOUR)] == [NOON + 5 * HOUR]


def test_missed_slots_are_caught_up_with(bench: Bench) -> None:
    """With catchup="all", oldest first, one after the other; their windows leave no gap and do not overlap."""
    hourly(bench, catchup="all")
    assert len(worked_off(bench, NOON)) == 1
    runs = worked_off(bench, NOON + 5 * HOUR)
    assert [run.slot for run in runs] == [NOON + n * HOUR for n in range(1, 6)]
    assert all(before.window_end == after.window_start for before, after in pairwise(runs))
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    starts = [run.started_at for run in runs if run.started_at is not None]
    assert starts == sorted(starts)
    assert all(
        before.finished_at <= after.started_at  # type: ignore[operator]
        for before, after in pairwise(runs)
    )


def test_what_is_caught_up_with_waits(bench: Bench) -> None:
    """One at work; no run is skipped, although overlap= says so for ordinary ticks."""
    hourly(bench, catchup="all", overlap="skip")
    ticked(bench, NOON)
    states = [run.state for run in ticked(bench, NOON + 3 * HOUR)]
    assert states == [RunState.QUEUED] * 3
    assert bench.column("SELECT state FROM batchord.runs ORDER BY slot") == ["running", *["queued"] * 3]


def test_one_tick_opens_only_so_many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one goes on where it ended, without a gap."""
    monkeypatch.setattr(slots, "MOST_SLOTS", 3)
    hourly(bench, catchup="all")
    worked_off(bench, NOON)
    found = [[run.slot for run in worked_off(bench, NOON + 7 * HOUR)] for _ in range(3)]
    assert found == [[NOON + n * HOUR for n in part] for part in ((1, 2, 3), (4, 5, 6), (7,))]
    assert worked_off(bench, NOON + 7 * HOUR)[0].slot == NOON + 7 * HOUR
    assert bench.value("SELECT count(*) FROM batchord.runs") == 8


def test_a_first_tick_has_nothing_to_catch_up_with(bench: Bench) -> None:
    """Slots from before a new pipeline are filled only by a backfill."""
    hourly(bench, catchup="all")
    assert [run.slot for run in ticked(bench, NOON)] == [NOON]


@pytest.mark.parametrize(("catchup", "slots_after"), [("latest", [4]), ("all", [1, 2, 3, 4])])
def test_a_paused_pipeline_is_not_started(bench: Bench, catchup: str, slots_after: list[int]) -> None:
    """Resumed, it goes on as after any other time without ticks."""
    hourly(bench, catchup=catchup)
    worked_off(bench, NOON)
    pause(bench.parts(), pipeline=ITEMS, paused=True)
    assert [tick(bench.parts(), pipeline=ITEMS, now=NOON + n * HOUR) for n in (1, 2)] == [([], [])] * 2
    assert bench.value("SELECT count(*) FROM batchord.runs") == 1
    pause(bench.parts(), pipeline=ITEMS, paused=False)
    assert [run.slot for run in ticked(bench, NOON + 4 * HOUR)] == [NOON + n * HOUR for n in slots_after]


def test_a_paused_pipeline_runs_by_hand(bench: Bench) -> None:
    """A manual start is intended. Runs at work go on."""
    hourly(bench)
    pause(bench.parts(), pipeline=ITEMS, paused=True)
    run_id, messages = opened(bench)
    assert bench.run_on(run_id, messages).state is RunState.SUCCEEDED


def test_a_switched_schedule_makes_the_slots(bench: Bench) -> None:
    """It makes the windows as well. After a reset the file's schedule counts."""
    hourly(bench)
    reschedule(bench.parts(), pipeline=ITEMS, schedule=every(minutes=10))
    bench.sql("UPDATE batchord.pipelines SET scheduled_at = %s", NOON)
    now = NOON + timedelta(minutes=25)
    (run,) = worked_off(bench, now)
    ten = timedelta(minutes=10)
    assert (run.slot, run.window_start, run.window_end) == (NOON + 2 * ten, NOON + ten, NOON + 2 * ten)
    reschedule(bench.parts(), pipeline=ITEMS, schedule=None)
    bench.sql("UPDATE batchord.pipelines SET scheduled_at = %s", NOON)
    assert ticked(bench, now) == [], "the file's newest fire time was before"
    assert [run.slot for run in ticked(bench, now + HOUR)] == [NOON + HOUR]


def test_once_is_once(bench: Bench) -> None:
    """Not before its time, and never again; its window is all time before."""
    hourly(bench, schedule=once(NOON), catchup="all")
    assert tick(bench.parts(), pipeline=ITEMS, now=NOON - timedelta(seconds=1)) == ([], [])
    (run,) = worked_off(bench, NOON)
    assert (run.slot, run.window_start, run.window_end, run.state) == (NOON, EARLIEST, NOON, RunState.SUCCEEDED)
    runs, messages = tick(bench.parts(), pipeline=ITEMS, now=NOON + timedelta(days=400))
    assert ([run.id for run in runs], messages) == ([run.id], [])


def test_once_is_not_made_up_for_when_it_has_run(bench: Bench) -> None:
    """watch() looks at it for ever."""
    hourly(bench, schedule=once(datetime.now(UTC) - HOUR))
    known_since(bench, 2 * HOUR)
    ((run_id,),) = [[message.run_id for message in watch(bench.parts())]]  # type: ignore[union-attr]
    cancel_run(bench.parts(), run_id=run_id)
    assert watch(bench.parts()) == []
    assert bench.value("SELECT count(*) FROM batchord.runs") == 1


@pytest.mark.parametrize(("ago", "jitter", "opens"), [(45, 0, 1), (15, 0, 0), (45, 30, 0), (90, 30, 1)])
def test_a_lost_tick_is_made_up_for(bench: Bench, ago: int, jitter: int, opens: int) -> None:
    """When it can no longer be on its way: half a minute after its slot, and after the pipeline's own delay."""
    slot = datetime.now(UTC) - timedelta(seconds=ago)
    hourly(bench, schedule=once(slot), jitter=timedelta(seconds=jitter))
    known_since(bench, HOUR)
    assert len(watch(bench.parts())) == opens
    assert bench.column("SELECT slot FROM batchord.runs") == [slot] * opens
    assert watch(bench.parts()) == []


def test_a_slot_from_before_its_file_gets_no_run(bench: Bench) -> None:
    """A pipeline that is new today does not run for yesterday."""
    hourly(bench, schedule=once(datetime.now(UTC) - HOUR))
    assert [watch(bench.parts()) for _ in range(2)] == [[], []]
    assert bench.value("SELECT count(*) FROM batchord.runs") == 0


def test_lost_ticks_of_a_paused_pipeline_are_not_missed(bench: Bench) -> None:
    """Pipelines that follow another, or are only started by hand, miss no ticks either."""
    hourly(bench, schedule=once(datetime.now(UTC) - HOUR))
    hourly(bench, name="follows", schedule=after_pipeline(ITEMS))
    hourly(bench, name="by-hand", schedule=None)
    pause(bench.parts(), pipeline=ITEMS, paused=True)
    known_since(bench, 2 * HOUR)
    assert watch(bench.parts()) == []


def test_a_tick_while_a_run_is_at_work_is_skipped(bench: Bench) -> None:
    """Written down with its slot, so that it is not missed; with overlap="queue" it waits."""
    hourly(bench)
    ticked(bench, NOON)
    (skipped,) = ticked(bench, NOON + HOUR)
    assert (skipped.state, skipped.error) == (RunState.SKIPPED, "an earlier run was active")
    assert bench.ledger.pipelines.standing(ITEMS).last_slot == NOON + HOUR
    hourly(bench, overlap="queue")
    assert [ticked(bench, NOON + n * HOUR)[0].state for n in (2, 3)] == [RunState.QUEUED] * 2


def test_runs_at_once_are_bounded(bench: Bench) -> None:
    """Two run, the others wait in the order of their slots. Each end starts the next, and all records are predicted."""
    bench.sql(
        "INSERT INTO records (body, created_at) SELECT 'x', %s + n * interval '10 minutes' "
        "FROM generate_series(0, 35) AS n",
        NOON,
    )
    declare_graph(
        bench, scoring(source=WINDOWED), schedule=every(hours=1), max_active_runs=2, catchup="all", overlap="queue"
    )
    worked_off(bench, NOON)
    runs, messages = tick(bench.parts(), pipeline=ITEMS, now=NOON + 6 * HOUR)
    at_work = "SELECT id::text FROM batchord.runs WHERE state = 'running' ORDER BY slot"
    order: list[str] = []
    while messages:
        assert bench.column(at_work) == [run.id for run in runs if run.id not in order][:2]
        # The one whose message came first ends first.
        order.append(messages[0].run_id)  # type: ignore[union-attr]
        mine, messages = messages[0], messages[1:]
        messages += [each for each in _to_its_end(bench, mine) if each not in messages]
    assert order == [run.id for run in runs]
    assert {bench.ledger.runs.get(run.id).predicted for run in runs} == {6}
    bench.assert_exactly_once()


def _to_its_end(bench: Bench, message: Any) -> list[Any]:
    """Processes a run. Messages that start another run are returned."""
    waiting, others = [message], []
    while waiting:
        for each in _handle(bench.parts(), waiting.pop(0)):
            (waiting if getattr(each, "run_id", None) == message.run_id else others).append(each)
    return [after for each in others for after in _handle(bench.parts(), each)]
