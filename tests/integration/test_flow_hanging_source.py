"""A source that hangs delays neither its own cancellation nor other runs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from batchord.core.declared.alerts import Alerts
from batchord.core.errors import TransientError
from batchord.core.run.runs import RunState
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.predict.plan import plan_step
from batchord.flow.predict.shard import ShardHeld, predict_shard
from batchord.flow.upkeep.watch import watch
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench
from tests.waiting import wait_until

HANGS = SqlSource("SELECT id, body FROM records, pg_sleep(600) AS nothing", key="id")
BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'batchord-source' AND datname = current_database() AND state = 'active'
"""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Ten records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(10)
        yield bench


def test_cancelling_a_run_ends_what_its_planner_reads(bench: Bench) -> None:
    """The server's process is free again, and the planner's thread."""
    bench.declare(source=HANGS)
    run = bench.started(lease_seconds=0.9)
    with ThreadPoolExecutor(1) as pool:
        planning = pool.submit(plan_step, bench.parts(lease_seconds=0.9), run_id=run.id, step=STEP)
        wait_until(lambda: bench.value(BUSY) == 1, description="the source is read")
        cancel_run(bench.parts(), run_id=run.id)
        with pytest.raises(TransientError, match="user request"):
            planning.result(timeout=30)
    assert bench.value(BUSY) == 0
    assert bench.ledger.runs.get(run.id).state is RunState.CANCELLED


def test_cancelling_a_run_ends_what_its_workers_read(bench: Bench) -> None:
    """A shard's query hangs, though planning did not."""
    bench.sql("CREATE FUNCTION slow(bigint) RETURNS text LANGUAGE sql STABLE AS 'SELECT pg_sleep(600)::text'")
    bench.declare(source=replace(RECORDS, sql="SELECT id, slow(id) AS body FROM records"))
    run_id, _ = bench.planned(parallelism=1)
    with ThreadPoolExecutor(1) as pool:
        parts = bench.parts(lease_seconds=0.9)
        predicting = pool.submit(predict_shard, parts, run_id=run_id, step=STEP, index=0)
        wait_until(lambda: bench.value(BUSY) == 1, description="the source is read")
        cancel_run(bench.parts(), run_id=run_id)
        with pytest.raises((TransientError, ShardHeld)):
            predicting.result(timeout=30)
    wait_until(lambda: bench.value(BUSY) == 0, description="the server works for nobody")


def test_planning_has_a_time_limit(bench: Bench) -> None:
    """However many statements it takes, each within its own."""
    bench.declare(source=HANGS)
    run_id, messages = bench.planned(plan_time_limit_seconds=1)
    ended = bench.run_on(run_id, messages)
    assert ended.state is RunState.FAILED
    assert "planning took longer than 1 s" in bench.value("SELECT error FROM batchord.steps")
    assert bench.value(BUSY) == 0


def test_a_watch_does_not_wait_for_a_source(bench: Bench) -> None:
    """The age of its records is looked at again the next time."""
    source = replace(HANGS, sql=f"{HANGS.sql.replace('SELECT id', 'SELECT created_at, id')}", arrival="created_at")
    bench.declare(source=replace(source, statement_timeout=timedelta(seconds=0.3)))
    pipeline = bench.catalog.pipelines[ITEMS]
    bench.catalog.pipelines[ITEMS] = replace(pipeline, alerts=Alerts(max_record_age=timedelta(hours=1)))
    assert watch(bench.parts()) == []
