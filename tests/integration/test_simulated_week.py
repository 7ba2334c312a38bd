"""A clock goes through seven days: what beat would send, the verbs open and work off, and the ledger counts.

As long as a week takes, nothing but the clock is simulated: the moments at which ticks are due are beat's own, and the
runs are those of a real ledger.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batchord import Python
from batchord.core.calendar.schedules import Schedule, cron, every, rrule
from batchord.core.declared.pipelines import Pipeline
from batchord.flow.begin.start import tick
from beat.schedule import Fires, offset
from tests.integration.flow_parts import Bench

#: A Monday.
START = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Verbs over a real ledger."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


@pytest.mark.parametrize(
    ("name", "schedule", "runs"),
    [
        ("training", rrule("FREQ=WEEKLY;BYDAY=WE;BYHOUR=3;BYMINUTE=0", time_zone="Europe/Berlin"), 1),
        ("ten", every(minutes=10), 1008),
        ("thirty", cron("*/30 * * * *"), 336),
        ("sixty", cron("0 * * * *", "Europe/Berlin"), 168),
    ],
)
def test_a_week_has_its_runs(bench: Bench, name: str, schedule: Schedule, runs: int) -> None:
    """One weekly training, 1,008, 336 and 168 runs, each of its own slot, each succeeded, their windows abutting."""
    jitter = timedelta(minutes=2)
    bench.catalog.pipelines[name] = Pipeline(
        name, schedule=schedule, steps=[Python("work", lambda: None)], jitter=jitter
    )
    fires = Fires(schedule=schedule, offset=offset(name, jitter))
    parts = bench.parts()
    last = START + fires.offset
    while (due := fires.next_tick(last, last)) is not None and due <= START + WEEK + fires.offset:
        (run,), messages = tick(parts, pipeline=name, now=due)
        bench.run_on(run.id, messages)
        last = due

    rows = bench.sql(
        "SELECT slot, window_start, window_end, state FROM batchord.runs WHERE pipeline = %s ORDER BY slot", name
    )
    slots = [slot for slot, *_ in rows]
    assert len(slots) == len(set(slots)) == runs
    assert all(START < slot <= START + WEEK for slot in slots)
    assert {state for *_, state in rows} == {"succeeded"}
    assert [end for _, _, end, _ in rows] == slots
    assert [start for _, start, _, _ in rows[1:]] == slots[:-1]
