"""Switches that a person sets at run time are kept in the ledger and shown to beat."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batchord.core.calendar.schedules import Schedule, after_pipeline, cron, every, once, rrule
from batchord.core.errors import ConfigurationError, TransientError, UnknownPipeline
from batchord.flow.begin.slots import schedule_now
from batchord.flow.begin.start import tick
from batchord.flow.upkeep.switch import pause, reschedule, show_switched
from tests.integration.flow_parts import ITEMS, Bench
from tests.integration.graph_parts import Calls, declare_graph

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEDULES = [
    every(minutes=7),
    cron("*/30 6-20 * * 1-5", "Europe/Berlin"),
    once(NOON),
    rrule("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", time_zone="America/New_York"),
]


class Away:
    """A switchboard whose Redis is away."""

    def show(self, switched: Mapping[str, Mapping[str, Any]]) -> None:  # noqa: ARG002 -- the protocol's
        """See the protocol."""
        raise TransientError("Redis did not answer")


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """An hourly pipeline of one function."""
    with Bench(database_url, tmp_path) as bench:
        declare_graph(bench, Calls().step("a"), schedule=every(hours=1))
        yield bench


def scheduled_by(bench: Bench) -> Schedule | None:
    """What the pipeline's ticks are computed from."""
    return schedule_now(bench.catalog.get(ITEMS), bench.ledger.pipelines.standing(ITEMS))


def test_a_pause_is_kept_and_shown(bench: Bench) -> None:
    """It lasts until a resume. A second pause reports that, and keeps the time of the first."""
    assert bench.ledger.pipelines.switched() == {}
    assert pause(bench.parts(), pipeline=ITEMS, paused=True)
    since = bench.ledger.pipelines.standing(ITEMS).paused_at
    assert not pause(bench.parts(), pipeline=ITEMS, paused=True)
    assert bench.ledger.pipelines.standing(ITEMS).paused_at == since
    assert bench.switchboard.shown == {ITEMS: {"paused": True, "schedule": None}}
    assert pause(bench.parts(), pipeline=ITEMS, paused=False)
    assert not pause(bench.parts(), pipeline=ITEMS, paused=False)
    assert (bench.switchboard.shown, bench.ledger.pipelines.switched()) == ({}, {})
    assert tick(bench.parts(), pipeline=ITEMS)[0] != []


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["every", "cron", "once", "rrule"])
def test_a_schedule_is_kept_and_shown(bench: Bench, schedule: Schedule) -> None:
    """It comes back equal from the ledger; None brings the file's back."""
    reschedule(bench.parts(), pipeline=ITEMS, schedule=schedule)
    assert scheduled_by(bench) == schedule
    assert bench.switchboard.shown == {ITEMS: {"paused": False, "schedule": schedule.to_json()}}
    reschedule(bench.parts(), pipeline=ITEMS, schedule=None)
    assert scheduled_by(bench) == every(hours=1)
    assert bench.switchboard.shown == {}


def test_a_pipeline_by_hand_can_be_scheduled(bench: Bench) -> None:
    """Whose file has no schedule."""
    declare_graph(bench, Calls().step("a"))
    assert tick(bench.parts(), pipeline=ITEMS) == ([], [])
    reschedule(bench.parts(), pipeline=ITEMS, schedule=every(minutes=1))
    assert tick(bench.parts(), pipeline=ITEMS) == ([], []), "fire times before are nobody's"
    soon = bench.ledger.runs.now() + timedelta(minutes=1)
    assert len(tick(bench.parts(), pipeline=ITEMS, now=soon)[0]) == 1


def test_pause_and_schedule_do_not_touch_each_other(bench: Bench) -> None:
    """Both are shown; each is taken back alone."""
    pause(bench.parts(), pipeline=ITEMS, paused=True)
    reschedule(bench.parts(), pipeline=ITEMS, schedule=every(minutes=1))
    assert bench.switchboard.shown == {ITEMS: {"paused": True, "schedule": {"every": 60.0}}}
    reschedule(bench.parts(), pipeline=ITEMS, schedule=None)
    assert bench.switchboard.shown == {ITEMS: {"paused": True, "schedule": None}}


def test_redis_may_be_away(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The switch is in the ledger. The next sweep shows it again, and then beat sees it."""
    away = replace(bench.parts(), switchboard=Away())
    assert pause(away, pipeline=ITEMS, paused=True)
    assert "Beat does not know the new schedule or pause yet: Redis did not answer" in caplog.text
    assert bench.switchboard.shown == {}
    show_switched(bench.parts())
    assert bench.switchboard.shown == {ITEMS: {"paused": True, "schedule": None}}


def test_an_unknown_pipeline_is_not_switched(bench: Bench) -> None:
    """Nothing of it is kept."""
    with pytest.raises(UnknownPipeline, match="nobody"):
        pause(bench.parts(), pipeline="nobody", paused=True)
    with pytest.raises(UnknownPipeline, match="nobody"):
        reschedule(bench.parts(), pipeline="nobody", schedule=every(hours=1))
    assert bench.sql("SELECT name FROM batchord.pipelines") == []


def test_a_pipeline_that_follows_another_is_not_scheduled(bench: Bench) -> None:
    """Its file declares that. A switch from before can still be reset."""
    reschedule(bench.parts(), pipeline=ITEMS, schedule=every(minutes=1))
    declare_graph(bench, Calls().step("a"), schedule=after_pipeline("features"))
    with pytest.raises(
        ConfigurationError, match=r"follows features and has no schedule of its own\. Change this in its file"
    ):
        reschedule(bench.parts(), pipeline=ITEMS, schedule=every(hours=1))
    reschedule(bench.parts(), pipeline=ITEMS, schedule=None)
    assert scheduled_by(bench) is None


@pytest.mark.parametrize("schedule", [every(seconds=0), cron("every day"), once(NOON.replace(tzinfo=None)), rrule("X")])
def test_a_schedule_with_problems_is_refused(bench: Bench, schedule: Schedule) -> None:
    """The one before stays."""
    with pytest.raises(ConfigurationError):
        reschedule(bench.parts(), pipeline=ITEMS, schedule=schedule)
    assert scheduled_by(bench) == every(hours=1)
    assert bench.switchboard.shown == {}


def test_switches_survive_a_restart(bench: Bench) -> None:
    """Another process, which has seen nothing, finds them in the ledger."""
    pause(bench.parts(), pipeline=ITEMS, paused=True)
    assert tick(replace(bench.parts(), worker="other:2"), pipeline=ITEMS, now=NOON + timedelta(hours=1)) == ([], [])
