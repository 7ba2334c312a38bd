"""Old rows are deleted, and no record is lost by that."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from batchord import FunctionModel
from batchord.core.calendar.schedules import every
from batchord.core.run.logs import AttemptName, LogLine, LogPart
from batchord.core.run.run_ids import first_run_id
from batchord.core.run.runs import Run, RunState
from batchord.flow.begin.start import tick
from batchord.flow.drive.finish import finish_step
from batchord.flow.predict.plan import plan_step
from batchord.flow.predict.shard import predict_shard
from batchord.flow.step.execute import execute_step
from batchord.flow.upkeep.audit import audit
from batchord.flow.upkeep.prune import Pruned, prune
from batchord.flow.upkeep.recover import sweep
from batchord.ledger import pruning
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.integration.graph_parts import Calls, declare_graph, opened, ran, scoring

NOTHING = Pruned(runs=0, logs=0, alerts=0, history=0, audits=0, outputs=0)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Six records and a pipeline that predicts them."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(6)
        declare_graph(bench, scoring())
        yield bench


def days_pass(bench: Bench, days: float) -> None:
    """Everything that is there was there so many days ago."""
    results = bench.column("SELECT format('%I.%I', schema_name, table_name) FROM batchord.results")
    for table, columns in (
        ("batchord.runs", ("created_at", "started_at", "finished_at")),
        ("batchord.alerts", ("created_at", "closed_at")),
        *((table, ("predicted_at",)) for table in results),
    ):
        moved = ", ".join(f"{column} = {column} - make_interval(secs => {days * 86400})" for column in columns)
        bench.sql(f"UPDATE {table} SET {moved}")  # noqa: S608 -- numbers


def ids(bench: Bench) -> list[str]:
    """The runs that are left, oldest first."""
    return bench.column("SELECT id::text FROM batchord.runs ORDER BY created_at, id")


def test_nothing_goes_before_its_time(bench: Bench) -> None:
    """Young runs stay. An empty ledger is pruned without an error."""
    assert prune(bench.parts()) == NOTHING
    ran(bench)
    ran(bench)
    days_pass(bench, 13)
    assert prune(bench.parts()) == NOTHING


def test_an_old_run_goes_with_all_that_is_its_own(bench: Bench) -> None:
    """Its steps, shards and attempts go. Its predictions stay and are not made again."""
    old = ran(bench)
    days_pass(bench, 366)
    new = ran(bench)
    assert prune(bench.parts()).runs == 1
    assert ids(bench) == [new.id]
    for table in ("steps", "shards", "attempts"):
        assert bench.value(f"SELECT count(*) FROM batchord.{table} WHERE run_id = %s", old.id) == 0  # noqa: S608
    assert bench.value("SELECT count(*) FROM batchord.predictions WHERE run_id = %s", old.id) == 6
    assert ran(bench).predicted == 0
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.clean, found.predicted) == (True, 6)
    bench.assert_exactly_once()


def test_the_newest_success_stays(bench: Bench) -> None:
    """However old it is: by it one sees how long a pipeline has been silent."""
    good = ran(bench)
    declare_graph(bench, Calls().failing("a"))
    for _ in range(2):
        ran(bench)
    days_pass(bench, 400)
    assert prune(bench.parts()).runs == 2
    assert ids(bench) == [good.id]
    assert bench.ledger.pipelines.standing(ITEMS).last_success_at is not None


def test_the_newest_tick_stays(bench: Bench) -> None:
    """It tells which slots have had their run: the slot of a pipeline that was stopped is not opened again."""
    declare_graph(bench, scoring(), schedule=every(hours=1))
    now = bench.ledger.runs.now()
    ticks: list[Run] = []
    for hours in (2, 1):
        (run,), messages = tick(bench.parts(), pipeline=ITEMS, now=now - timedelta(hours=hours))
        ticks.append(bench.run_on(run.id, messages))
    by_hand = ran(bench)
    days_pass(bench, 400)
    assert prune(bench.parts()).runs == 1
    assert ids(bench) == [ticks[1].id, by_hand.id]
    (found,), messages = tick(bench.parts(), pipeline=ITEMS, now=now - timedelta(hours=1))
    assert (found.id, messages) == (ticks[1].id, [])


def test_a_run_that_has_not_ended_stays(bench: Bench) -> None:
    """A running or waiting run stays, at any age."""
    first, messages = opened(bench)
    second, _ = opened(bench)
    days_pass(bench, 400)
    assert prune(bench.parts()).runs == 0
    bench.run_on(first, messages)
    assert bench.ledger.runs.get(second).state is RunState.SUCCEEDED


def test_runs_that_found_nothing_go_earlier(bench: Bench) -> None:
    """So do skipped ticks. Runs that predicted or failed stay for a year."""
    worked = ran(bench)
    idle = [ran(bench).id for _ in range(3)]
    declare_graph(bench, scoring(), Calls().failing("a", STEP))
    failed = ran(bench)
    days_pass(bench, 15)
    assert prune(bench.parts()).runs == 2
    assert ids(bench) == [worked.id, idle[-1], failed.id]


def test_runs_without_a_predict_step_are_not_idle(bench: Bench) -> None:
    """They look for no records, and did their work."""
    declare_graph(bench, Calls().step("a"))
    for _ in range(3):
        ran(bench)
    days_pass(bench, 15)
    assert prune(bench.parts()).runs == 0


def with_backlog(bench: Bench) -> str:
    """A run that took two of six records. The message to its follow-up run was lost."""
    declare_graph(bench, scoring(shard_rows=2))
    run_id, _ = opened(bench)
    plan_step(bench.parts(max_shards=1), run_id=run_id, step=STEP)
    predict_shard(bench.parts(), run_id=run_id, step=STEP, index=0)
    finish_step(bench.parts(), run_id=run_id, step=STEP)
    assert bench.ledger.runs.get(run_id).predicted == 2
    return run_id


def test_a_backlog_that_nobody_has_gone_on_with_stays(bench: Bench) -> None:
    """The sweeper still finds it. Afterwards both runs go together, so that no follow-up is opened again."""
    run = with_backlog(bench)
    days_pass(bench, 400)
    assert prune(bench.parts()).runs == 0
    messages = sweep(bench.parts(), older_than_seconds=0)
    assert messages != []
    bench.run_on(run, messages)
    bench.assert_exactly_once()
    days_pass(bench, 400)
    ran(bench)
    while prune(bench.parts()).runs:
        assert sweep(bench.parts(), older_than_seconds=0) == []
    assert len(ids(bench)) == 1


def test_a_follow_up_that_found_nothing_stays_with_its_run(bench: Bench) -> None:
    """Alone it would go after two weeks, and its run would get a second follow-up."""
    run = with_backlog(bench)
    bench.run_on(run, sweep(bench.parts(), older_than_seconds=0))
    bench.sql("UPDATE batchord.runs SET discovered = 0 WHERE kind = 'follow-up'")
    ran(bench)
    days_pass(bench, 15)
    prune(bench.parts())
    assert sweep(bench.parts(), older_than_seconds=0) == []


def test_a_frontier_that_names_a_run_that_has_gone_works(bench: Bench) -> None:
    """The records that a failed run saw and did not predict are taken by the next run, after the failed one is gone."""
    sick = [True]

    def model(frame: pd.DataFrame) -> Any:
        return frame["body"].str.len().iloc[: 1 if sick[0] and 4 in frame.index else None]

    declare_graph(bench, scoring(model=FunctionModel(model, version="1"), shard_rows=3))
    failed = ran(bench, parallelism=1)
    assert failed.state is RunState.PARTIAL
    assert failed.id in str(bench.value("SELECT candidates FROM batchord.frontiers"))
    days_pass(bench, 400)
    assert prune(bench.parts()).runs == 1
    sick[0] = False
    bench.insert(2)
    assert [ran(bench).predicted for _ in range(2)] == [5, 0]
    bench.insert(1)
    assert ran(bench).predicted == 1
    bench.assert_exactly_once()


def test_a_late_record_is_found_after_pruning(bench: Bench) -> None:
    """Its transaction was open all the while; the runs that waited for it have gone."""
    with psycopg.connect(bench.url) as late:
        late.execute("INSERT INTO records (body) VALUES ('late')")
        bench.insert(2)
        assert [ran(bench).predicted for _ in range(4)] == [8, 0, 0, 0]
        days_pass(bench, 400)
        assert prune(bench.parts()).runs == 3
        assert ran(bench).predicted == 0
        late.commit()
    assert [ran(bench).predicted for _ in range(2)] == [1, 0]
    bench.assert_exactly_once()


def test_logs_go_first(bench: Bench) -> None:
    """By when their run was opened; those of later runs stay."""
    now = bench.ledger.runs.now()
    for days in (40, 31, 29):
        attempt = AttemptName(first_run_id(now - timedelta(days=days)), "a", None, 1)
        line = LogLine(time=now, level="INFO", source="a", message=f"{days} days ago")
        bench.ledger.logs.append(LogPart(attempt=attempt, part=0, worker="test:1", lines=(line,)))
    assert prune(bench.parts()).logs == 2
    assert prune(bench.parts(keep_runs_days=28)).logs == 1


def test_alerts_go_when_they_were_sent(bench: Bench) -> None:
    """One that still waits to be sent stays, and can be: its run need not be there."""
    declare_graph(bench, Calls().failing("a"))
    ran(bench)
    run_id, _ = opened(bench)
    execute_step(bench.parts(), run_id=run_id, step="a")
    days_pass(bench, 400)
    pruned = prune(bench.parts())
    assert (pruned.alerts, pruned.runs) == (1, 2)
    assert bench.column("SELECT run_id::text FROM batchord.alerts") == [run_id]
    assert bench.ledger.alerts.any_due()


def test_outputs_are_emptied_and_nothing_is_predicted_again(bench: Bench) -> None:
    """Keys, labels and scores stay; by default outputs do as well."""

    def verbose(frame: pd.DataFrame) -> pd.DataFrame:
        lengths = frame["body"].str.len()
        return pd.DataFrame({"label": lengths.astype(str), "score": lengths / 10, "words": frame["body"]})

    declare_graph(bench, scoring(model=verbose))
    ran(bench)
    days_pass(bench, 3)
    bench.insert(1)
    ran(bench)
    full = "SELECT count(*) FROM batchord.predictions WHERE output IS NOT NULL"
    assert (bench.value(full), prune(bench.parts()).outputs) == (7, 0)
    assert prune(bench.parts(keep_outputs_days=2)).outputs == 6
    assert prune(bench.parts(keep_outputs_days=2)).outputs == 0
    assert bench.value(full) == 1
    assert bench.value("SELECT count(*) FROM batchord.predictions WHERE label IS NULL OR score IS NULL") == 0
    assert ran(bench).predicted == 0
    assert audit(bench.parts(), pipeline=ITEMS)[0].clean
    bench.assert_exactly_once()


@pytest.mark.parametrize("rows", [7, 1000])
def test_many_go_some_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """All that are due, however many, in transactions of a bounded size."""
    monkeypatch.setattr(pruning, "_ROWS", rows)
    count = 3 * rows
    bench.sql(
        "INSERT INTO batchord.runs (id, pipeline, kind, trigger, state, created_at) "
        "SELECT gen_random_uuid(), 'items', 'manual', 'cli', 'skipped', clock_timestamp() - interval '400 days' "
        "FROM generate_series(1, %s)",
        count,
    )
    new = ran(bench)
    assert prune(bench.parts()).runs == count
    assert ids(bench) == [new.id]
