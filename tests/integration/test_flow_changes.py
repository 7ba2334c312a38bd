"""Pipelines, models and planners that change while a run is on its way: the run ends, and says why."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batchord import FunctionModel
from batchord.core.calendar.schedules import every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError
from batchord.core.run.leases import StepLease
from batchord.core.run.messages import BacklogLeft
from batchord.core.run.runs import RunState
from batchord.flow.begin.start import start_run, tick
from batchord.flow.predict.plan import plan_step
from batchord.flow.upkeep.recover import sweep
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, TERMINATED, Bench, length

RENAMED = Pipeline(ITEMS, steps=[Predict("renamed", source=RECORDS, model=length)])


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Twelve records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(12)
        bench.declare()
        yield bench


def test_a_step_that_was_renamed_before_it_was_planned_fails_its_run(bench: Bench) -> None:
    """A deploy under way is waited for; when the step stays unknown, the run ends and the next one can work."""
    first = bench.started()
    bench.catalog.pipelines[ITEMS] = RENAMED
    second = bench.run(max_attempts=2)
    ended = bench.ledger.runs.get(first.id)
    assert ended.state is RunState.FAILED
    assert f"no step {STEP!r}" in (ended.error or "")
    assert (second.state, second.predicted) == (RunState.SUCCEEDED, 12)


def test_a_step_that_was_renamed_after_it_was_planned_fails_its_run(bench: Bench) -> None:
    """The shards say which step is gone."""
    first, _ = bench.planned()
    bench.catalog.pipelines[ITEMS] = RENAMED
    second = bench.run(max_attempts=2)
    ended = bench.ledger.runs.get(first)
    assert ended.state is RunState.FAILED
    assert f"no step {STEP!r}" in (ended.error or "")
    assert (second.state, second.predicted) == (RunState.SUCCEEDED, 12)


def test_a_planner_that_dies_every_time_is_given_up(bench: Bench) -> None:
    """A step's attempts are counted when they begin, as a shard's are."""
    run = bench.started()
    for _ in range(3):
        assert bench.ledger.runs.claim_step(run.id, STEP, lease_seconds=60, worker="dead:1") is not None
        bench.expire_leases()
    plan_step(bench.parts(max_attempts=3), run_id=run.id, step=STEP)
    ended = bench.ledger.runs.get(run.id)
    assert ended.state is RunState.FAILED
    assert "3 attempts to plan the step ended without a result" in (ended.error or "")


def test_the_error_of_an_overtaken_planner_changes_nothing(bench: Bench) -> None:
    """A planner that lost its lease cannot end the step that another one plans."""
    bench.declare(source=SqlSource("SELECT id, body FROM recrods", key="id"))
    run = bench.started()
    parts = bench.parts()
    others: list[StepLease | None] = []

    def overtaken(declared: SqlSource, window: tuple[datetime, datetime] | None) -> SourceReader:
        bench.expire_leases()
        others.append(bench.ledger.runs.claim_step(run.id, STEP, lease_seconds=60, worker="other:2"))
        return parts.open_source(declared, window)

    assert plan_step(replace(parts, open_source=overtaken), run_id=run.id, step=STEP) == []
    assert [lease is not None and lease.attempt for lease in others] == [2]
    assert bench.value("SELECT state FROM batchord.steps") == "planning"


def test_a_follow_up_reads_the_window_of_the_run_before_it(bench: Bench) -> None:
    """However late it starts: the rest of the backlog lies in that window, not in the clock's."""
    sql = "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end"
    step = Predict(STEP, source=SqlSource(sql, key="id"), model=length, shard_rows=5)
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, schedule=every(hours=1), steps=[step])
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    bench.sql("UPDATE records SET created_at = %s", noon - timedelta(minutes=30))
    (run,), messages = tick(bench.parts(max_shards=1), pipeline=ITEMS, now=noon)
    bench.run_on(run.id, messages, max_shards=1)
    runs = bench.ledger.reports.runs()
    assert [(one.kind, one.predicted) for one in runs] == [("follow-up", 4), ("follow-up", 4), ("scheduled", 4)]
    assert {(one.window_start, one.window_end) for one in runs} == {(noon - timedelta(hours=1), noon)}
    bench.assert_exactly_once()


def test_the_backlog_of_a_pipeline_that_is_gone_is_left_alone(bench: Bench) -> None:
    """No worker can continue it, so no message for it is sent every few seconds."""
    bench.declare(shard_rows=5)
    run_id, messages = bench.planned(max_shards=1)
    (shards,) = messages
    said = bench.work(shards)
    assert BacklogLeft(pipeline=ITEMS, after_run=run_id) in said
    assert sweep(bench.parts()) == [BacklogLeft(pipeline=ITEMS, after_run=run_id)]
    bench.catalog.pipelines.clear()
    assert sweep(bench.parts()) == []


def test_a_run_whose_process_died_is_worked_off_by_the_next_local_one(bench: Bench) -> None:
    """Without a sweeper, the next ``--local`` run finishes the dead one first and then does its own work."""

    def dies(_: object) -> None:
        raise SystemExit(TERMINATED)

    bench.declare(FunctionModel(dies, version="1"))
    with pytest.raises(SystemExit):
        bench.run()
    bench.expire_leases()
    dead = bench.ledger.reports.runs()[0]
    length_as_dies = FunctionModel(length, version="1")
    bench.declare(length_as_dies)
    assert bench.run(max_attempts=2).state is RunState.SUCCEEDED
    assert bench.ledger.runs.get(dead.id).state.ended
    bench.assert_exactly_once()


def test_a_parameter_that_cannot_be_kept_is_refused(bench: Bench) -> None:
    """Before a run is opened."""
    with pytest.raises(ConfigurationError, match="NUL"):
        start_run(bench.parts(), pipeline=ITEMS, trigger="call", params={"who": "\x00"})
    assert bench.ledger.reports.runs() == []


def test_a_key_with_nul_does_not_stop_its_pipeline(bench: Bench, tmp_path: Path) -> None:
    """SQLite has such texts, and positions travel through PostgreSQL's JSON."""
    file = tmp_path / "records.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE records (id TEXT PRIMARY KEY, body TEXT)")
        connection.executemany("INSERT INTO records VALUES (?, 'x')", [("a\x00b",), ("c",)])
        connection.commit()
    bench.declare(source=replace(RECORDS, url=f"sqlite:///{file}", settle=timedelta(0)))
    run = bench.run()
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 2), run.error
    kept, plain = sorted(bench.outcomes())
    assert kept.startswith("a\\u0000b")
    assert plain == "c"
    assert bench.run().discovered == 0
