"""Changes by people are recorded with the person's name, in the transaction of the change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.core.calendar.schedules import cron, every
from batchord.core.errors import ConfigurationError
from batchord.core.run.history import Actor, Way
from batchord.flow.begin.backfill import fill_windows
from batchord.flow.begin.repair import repair_missing, retry_rejections
from batchord.flow.begin.rerun import rerun
from batchord.flow.begin.start import follow_up, start_run, tick
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.upkeep.history import change
from batchord.flow.upkeep.prune import prune
from batchord.flow.upkeep.switch import pause, reschedule
from tests.integration.flow_parts import ITEMS, Bench, batch_of
from tests.integration.graph_parts import Calls, declare_graph

ADA = Actor(user="ada", host="desk", way=Way.COMMAND)
DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """An hourly pipeline of one function."""
    with Bench(database_url, tmp_path) as bench:
        declare_graph(bench, Calls().step("a"), schedule=every(hours=1))
        yield bench


def kept(bench: Bench) -> list[dict[str, Any]]:
    """The history, the oldest first, without the times."""
    found = bench.ledger.reports.history(limit=100)[::-1]
    return [{name: value for name, value in each.items() if name != "at"} for each in found]


def by_ada(action: str, run_id: str | None = None, pipeline: str | None = ITEMS, **detail: Any) -> dict[str, Any]:
    """The expected rows of the history."""
    who = {"user": "ada", "host": "desk", "way": "command"}
    return {"action": action, "pipeline": pipeline, "run_id": run_id, **who, "detail": detail}


def test_runs_by_hand_are_kept(bench: Bench) -> None:
    """Started, cancelled, run again and filled: each with its run, once, however often its message comes."""
    parts = bench.parts()
    values = {"pipeline": ITEMS, "trigger": "cli", "request": "one", "params": {"limit": 5}, "actor": ADA}
    first, _ = start_run(parts, **values)
    start_run(parts, **values)
    assert kept(bench) == [by_ada("run", first.id, params={"limit": 5}, trigger="cli")]
    cancel_run(parts, run_id=first.id, actor=ADA)
    cancel_run(parts, run_id=first.id, actor=ADA)
    again, _ = rerun(parts, run_id=first.id, from_step="a", actor=ADA)
    filled, _ = fill_windows(parts, pipeline=ITEMS, start=DAY, end=DAY + timedelta(hours=3), actor=ADA)
    assert kept(bench)[1:] == [
        by_ada("cancel", first.id),
        by_ada("rerun", again.id, of=first.id, **{"from": "a"}),
        by_ada("backfill", filled[0].id, to="2026-03-01T03:00:00+00:00", windows=3, **{"from": DAY.isoformat()}),
    ]


def test_switches_are_kept_where_they_change_something(bench: Bench) -> None:
    """Pausing a paused pipeline is not a change."""
    parts = bench.parts()
    for paused in (True, True, False, False):
        pause(parts, pipeline=ITEMS, paused=paused, actor=ADA)
    reschedule(parts, pipeline=ITEMS, schedule=cron("0 6 * * *", "Europe/Berlin"), actor=ADA)
    reschedule(parts, pipeline=ITEMS, schedule=None, actor=ADA)
    with pytest.raises(ConfigurationError):
        reschedule(parts, pipeline=ITEMS, schedule=cron("never"), actor=ADA)
    pause_kept, resume_kept, *schedules = kept(bench)
    assert (pause_kept, resume_kept) == (by_ada("pause"), by_ada("resume"))
    assert [each["action"] for each in schedules] == ["schedule", "schedule"]
    assert "0 6 * * *" in schedules[0]["detail"]["schedule"]
    assert schedules[1] == by_ada("schedule", schedule="by its file")


def test_retries_repairs_and_prunings_are_kept(bench: Bench) -> None:
    """A retry with how many rejections it took, and one that found none not at all."""
    bench.declare()
    bench.insert(2)
    run_id, _ = bench.planned()
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(1, rejected=[2]))
    cancel_run(bench.parts(), run_id=run_id)
    parts = bench.parts()
    assert retry_rejections(parts, pipeline=ITEMS, keys=["7"], actor=ADA)[0] is None
    retried, _, _ = retry_rejections(parts, pipeline=ITEMS, reason="bad", actor=ADA)
    assert retried is not None
    repaired, _ = repair_missing(parts, pipeline=ITEMS, actor=ADA)
    prune(parts, actor=ADA)
    assert kept(bench) == [
        by_ada("retry", retried.id, reason="bad", rejections=1),
        by_ada("repair", repaired.id),
        by_ada("prune", pipeline=None),
    ]


def test_what_the_machine_does_is_no_change_by_hand(bench: Bench) -> None:
    """Ticks, follow-ups, the daily audit and pruning have no person."""
    parts = bench.parts()
    (run, *_), _ = tick(parts, pipeline=ITEMS)
    follow_up(parts, pipeline=ITEMS, after_run=run.id)
    repair_missing(parts, pipeline=ITEMS)
    prune(parts)
    assert kept(bench) == []


def test_a_change_and_its_history_are_one_transaction(bench: Bench) -> None:
    """Where the one cannot be written, the other is not made."""
    parts = bench.parts()
    run, _ = start_run(parts, pipeline=ITEMS, trigger="call")
    bench.sql("ALTER TABLE batchord.history ADD CHECK (action = 'none') NOT VALID")
    for attempt in (
        lambda: start_run(parts, pipeline=ITEMS, trigger="call", request="lost", actor=ADA),
        lambda: cancel_run(parts, run_id=run.id, actor=ADA),
        lambda: pause(parts, pipeline=ITEMS, paused=True, actor=ADA),
        lambda: reschedule(parts, pipeline=ITEMS, schedule=every(hours=2), actor=ADA),
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            attempt()
    assert bench.ledger.reports.run_by_request("lost") is None
    assert not bench.ledger.runs.get(run.id).state.ended
    standing = bench.ledger.pipelines.standing(ITEMS)
    assert (standing.paused_at, standing.schedule) == (None, None)


def test_what_is_kept_holds_no_secret_and_has_an_end(bench: Bench) -> None:
    """It also has no characters that the table cannot hold."""
    parts = bench.parts(redis_url=SecretStr("redis://:s3cret-of-redis@r/0"))
    odd = {"token": "abc-secret-123", "url": "redis://:s3cret-of-redis@r/0", "long": "x" * 10**6, "nul": "a\x00b"}
    odd |= {f"p{number}": "y" * 900 for number in range(100)}
    actor = Actor(user="eve s3cret-of-redis", host="h\x00\udc80", way=Way.FLOWER)
    start_run(parts, pipeline=ITEMS, trigger="x", actor=actor, params={"number": float("1e300")})
    cancelled, _ = start_run(parts, pipeline=ITEMS, trigger="call")
    with bench.ledger.runs.lock(cancelled.id) as locked:
        locked.keep(change(parts, actor, "cancel", detail=odd))
    found = str(bench.sql("SELECT to_jsonb(h)::text FROM batchord.history AS h ORDER BY id"))
    assert "s3cret-of-redis" not in found
    assert "abc-secret-123" not in found
    assert len(found) < 40_000
    assert [each["user"] for each in kept(bench)] == ["eve ***"] * 2


def test_the_history_is_pruned_with_the_runs(bench: Bench) -> None:
    """What is older than BATCHORD_KEEP_RUNS_DAYS."""
    pause(bench.parts(), pipeline=ITEMS, paused=True, actor=ADA)
    bench.sql("UPDATE batchord.history SET at = at - interval '3 days'")
    pause(bench.parts(), pipeline=ITEMS, paused=False, actor=ADA)
    assert prune(bench.parts(keep_runs_days=2)).history == 1
    assert [each["action"] for each in kept(bench)] == ["resume"]


def test_filters(bench: Bench) -> None:
    """By pipeline, by run, and by how many."""
    declare_graph(bench, Calls().step("a"), name="other")
    run, _ = start_run(bench.parts(), pipeline="other", trigger="call", actor=ADA)
    pause(bench.parts(), pipeline=ITEMS, paused=True, actor=ADA)
    pause(bench.parts(), pipeline=ITEMS, paused=False, actor=ADA)
    reports = bench.ledger.reports
    assert [each["action"] for each in reports.history(pipeline=ITEMS)] == ["resume", "pause"]
    assert [each["action"] for each in reports.history(run_id=run.id)] == ["run"]
    assert [each["action"] for each in reports.history(limit=1)] == ["resume"]


def test_workers_do_not_write_the_history_anew(database_roles: DatabaseRoles) -> None:
    """The ledger's role adds to it and prunes it."""
    with psycopg.connect(database_roles.ledger) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE batchord.history SET by_user = 'nobody'")


@pytest.mark.parametrize(
    ("said", "origin", "actor"),
    [
        ({"user": "ada", "host": "desk", "way": "flower"}, "gen7@far", Actor(user="ada", host="desk", way=Way.FLOWER)),
        (None, "gen7@far", Actor(user=None, host="far", way=Way.MESSAGE)),
        ("ada", None, Actor(user=None, host=None, way=Way.MESSAGE)),
        ({"user": ["x"], "host": 7, "way": {}}, 5, Actor(user=None, host=None, way=Way.MESSAGE)),
        ({"user": "a" * 500, "way": "root"}, "", Actor(user="a" * 200, host=None, way=Way.MESSAGE)),
    ],
)
def test_any_sender_in_a_message_is_accepted(said: Any, origin: Any, actor: Actor) -> None:
    """A sender that is not a name counts as missing."""
    assert Actor.from_message(said, origin=origin) == actor
