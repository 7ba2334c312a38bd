"""Drills of tables that authors name: whatever happens to one, each record has one row there, and the ledger agrees."""

import json
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from app.localstack import Server, start_servers
from tests.drills.authors_table import BREAKS, NAMES, REFUSALS, RULES, TABLE, Change, check_rows
from tests.drills.drill import Drill
from tests.drills.gate import Gate
from tests.drills.held_batch import PLACES, held
from tests.drills.own_servers import kill, process_of
from tests.waiting import wait_until

#: How many rows the first attempt has written: what it had committed when its fault came.
_OF_THE_FIRST = """
    SELECT count(mood.id) FROM batchord.writers AS writer LEFT JOIN moods AS mood ON mood.writer = writer.id
    WHERE writer.attempt = 1
"""
_LAST_RUN = "SELECT state, error FROM batchord.runs WHERE pipeline = 'notes' ORDER BY created_at DESC LIMIT 1"
#: Another pipeline, whose predictions go into a table that its first run makes.
_OTHERS = """
    from batchord import Pipeline, SqlSource

    others = Pipeline(
        "others",
        source=SqlSource("SELECT id, body FROM notes", key="id"),
        model=lambda frame: frame["body"].str.len(),
    )
"""


@pytest.mark.parametrize("rules", ["", RULES], ids=["without rules", "with rules"])
@pytest.mark.parametrize(
    ("fault", "written"),
    [
        ("before-batch-commit=kill@3", 40),
        ("in-batch-copy=kill@3", 40),
        ("after-batch-commit=kill@3", 60),
        ("after-batch-commit=kill-parent@3", 60),
    ],
)
def test_a_worker_killed_around_a_commit_writes_each_row_once(
    drill: Drill, fault: str, written: int, rules: str
) -> None:
    """What was committed stays, what was not is written by another process."""
    cluster = drill.cluster
    drill.declare(**_make(drill, rules))
    cluster.start("control", "worker", "beat", faults={"worker": fault})
    drill.run()
    drill.wait_until_fired(fault.partition("=")[0])
    drill.settle()
    assert cluster.sql(_OF_THE_FIRST) == [(written,)]
    assert cluster.sql("SELECT state FROM batchord.attempts WHERE shard = 0 ORDER BY attempt") == [("lost",), ("done",)]
    drill.check()
    check_rows(drill, told=bool(rules))


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_killed_in_a_batchs_transaction_writes_each_row_once(drill: Drill, place: str) -> None:
    """PostgreSQL goes on with the transaction until it misses the client, and another process waits for its end."""
    cluster = drill.cluster
    drill.declare(**_make(drill))
    with held(drill, place) as session:
        processes = cluster.pool("worker")
        for process in processes:
            process.kill()
        drill.injected()
        assert not psutil.wait_procs(processes, timeout=20)[1]
        session.execute("SELECT pg_advisory_unlock(60)")
        drill.settle()
    assert cluster.sql(_OF_THE_FIRST) == [(40,)]
    drill.check()
    check_rows(drill, told=True)


@pytest.mark.parametrize("place", PLACES)
def test_postgresql_killed_in_a_batchs_transaction_keeps_each_row_once(
    own_drill: Drill, own_home: Path, place: str
) -> None:
    """Nothing of the transaction is left; workers wait for the server and go on, without a loss."""
    cluster = own_drill.cluster
    own_drill.declare(**_make(own_drill))
    with held(own_drill, place):
        kill(process_of(own_home, Server.POSTGRES))
        own_drill.injected()
    start_servers(own_home)
    own_drill.settle()
    assert cluster.sql(_OF_THE_FIRST) == [(40,)]
    assert cluster.sql("SELECT attempt > 1, losses FROM batchord.shards") == [(True, 0)]
    own_drill.check()
    check_rows(own_drill, told=True)


@pytest.mark.parametrize("change", REFUSALS.values(), ids=REFUSALS)
def test_rows_that_a_table_refuses_from_now_on_cost_their_own_records(drill: Drill, change: Change) -> None:
    """Each is rejected with the server's words, in one attempt; once the rule is gone, a retry predicts it."""
    cluster, gate = drill.cluster, _at_the_gate(drill)
    cluster.sql(change.made)
    drill.injected()
    gate.open()
    drill.settle()
    drill.check()
    assert cluster.sql("SELECT attempt, state, predicted FROM batchord.shards") == [(1, "done", 396)]
    rejected = cluster.sql("SELECT record_key::int, reason, detail FROM batchord.rejections ORDER BY 1")
    assert [row[:2] for row in rejected] == [(key, "refused-by-table") for key in (99, 199, 299, 399)]
    assert all(change.words in detail for _, _, detail in rejected)
    cluster.sql(change.undone)
    assert json.loads(cluster.batchord("retry", "notes", "--reason", "refused-by-table", "--json").stdout)
    drill.wait_until_runs(2)
    check_rows(drill, told=True)


@pytest.mark.parametrize("change", BREAKS.values(), ids=BREAKS)
def test_a_table_that_is_broken_in_mid_run_fails_it_and_loses_nothing(drill: Drill, change: Change) -> None:
    """The run says what PostgreSQL says, the next one what to correct; other pipelines go on. Nothing is rejected."""
    cluster, gate = drill.cluster, _at_the_gate(drill)
    cluster.sql(change.made)
    drill.injected()
    gate.open()
    drill.wait_until_runs(1)
    ((state, error),) = cluster.sql(_LAST_RUN)
    assert state == "partial"
    assert change.words in error
    drill.run()
    drill.wait_until_runs(2)
    ((state, error),) = cluster.sql(_LAST_RUN)
    assert state == "failed"
    assert "public.moods" in error
    _predict_others(drill)
    cluster.sql(change.undone)
    drill.run()
    drill.settle()
    assert cluster.sql("SELECT count(*) FROM batchord.rejections") == [(0,)]
    drill.check(runs=("partial", "failed", "succeeded"))
    check_rows(drill, told=True)


def test_a_table_that_is_locked_for_longer_than_a_lease_costs_only_time(drill: Drill) -> None:
    """A batch waits as long as an ALTER TABLE takes. Its worker keeps the shard, in its first attempt."""
    cluster, gate = drill.cluster, _at_the_gate(drill)
    with psycopg.connect(cluster.database_url) as author:
        author.execute("LOCK TABLE moods IN ACCESS EXCLUSIVE MODE")
        drill.injected()
        gate.open()
        waits = "SELECT batchord.now() FROM pg_locks WHERE NOT granted AND relation = 'moods'::regclass"
        ((since,),) = wait_until(lambda: cluster.sql(waits), description="a batch waits for the table")
        kept = "SELECT renewed_at > %s + interval '3 seconds' AND state = 'running' FROM batchord.shards"
        wait_until(lambda: cluster.sql(kept, since) == [(True,)], description="the lease is renewed for a while")
        author.execute("ALTER TABLE moods ADD note text NOT NULL DEFAULT 'new'")
    drill.settle()
    assert cluster.sql("SELECT attempt, losses FROM batchord.shards") == [(1, 0)]
    drill.check()
    check_rows(drill, told=True)


def test_a_table_that_is_locked_when_its_step_ends_holds_nobody_up(drill: Drill) -> None:
    """The step ends when the table can be read again. Meanwhile its messages come again and again, and others run."""
    cluster = drill.cluster
    _at_its_end(drill)
    _predict_others(drill)  # the view is made with their table; while the author's is locked, it could not be
    with psycopg.connect(cluster.database_url) as author:
        author.execute("LOCK TABLE moods IN ACCESS EXCLUSIVE MODE")
        cluster.start("beat")
        ((since,),) = cluster.sql("SELECT batchord.now()")
        again = "SELECT max(sent_at) > %s + interval '6 seconds' FROM batchord.steps"
        wait_until(lambda: cluster.sql(again, since) == [(True,)], description="the end is sent again and again")
        _predict_others(drill)
        assert cluster.sql(_LAST_RUN) == [("running", None)]
    drill.settle()
    drill.check()
    check_rows(drill, told=True)


@pytest.mark.parametrize("change", NAMES.values(), ids=NAMES)
def test_a_table_that_cannot_be_read_when_its_step_ends_ends_the_run(drill: Drill, change: Change) -> None:
    """All is predicted, but nobody can count it: the run says why. The next one finds nothing to do."""
    cluster = drill.cluster
    _at_its_end(drill)
    cluster.sql(change.made)
    cluster.start("beat")
    drill.wait_until_runs(1)
    ((state, error),) = cluster.sql(_LAST_RUN)
    assert (state, "public.moods" in error) == ("partial", True)
    cluster.sql(change.undone)
    drill.run()
    drill.wait_until_runs(2)
    drill.settle()
    drill.check(runs=("partial", "succeeded"))
    check_rows(drill, told=True)


def test_another_table_in_mid_run_is_for_the_next_run(drill: Drill) -> None:
    """The run goes on in the table that it was planned with. Old rows stay, and are not predicted again."""
    cluster, gate = drill.cluster, _at_the_gate(drill)
    gate.declare(into="feelings")
    drill.wait_until_taken_up()
    gate.open()
    drill.settle()
    cluster.insert_notes(100)
    drill.run()
    drill.settle()
    assert cluster.sql("SELECT (SELECT count(*) FROM moods), (SELECT count(*) FROM feelings)") == [(400, 100)]
    drill.check(runs=("succeeded", "succeeded"))
    check_rows(drill, "moods", "feelings", told=True)


@pytest.mark.parametrize("into", ["feelings", None], ids=["of a name", "of Batchord's choice"])
def test_another_table_is_planned_with_while_a_shard_is_at_work(drill: Drill, into: str | None) -> None:
    """The shard is handed back before its next batch, and goes on in the other table. Old rows stay."""
    cluster = drill.cluster
    cluster.sql("UPDATE notes SET created_at = '2026-01-01T00:00Z'::timestamptz + (id - 1) / 200 * interval '1 day'")
    window = "created_at >= :window_start AND created_at < :window_end"
    query = f"SELECT id, body, created_at FROM notes WHERE {window}"  # noqa: S608 -- no value of others
    source = f'"{query}", key="id", arrival="created_at"'
    gate = _at_the_gate(drill, source=source, most_runs=2, day=1)
    gate.declare(into=into)
    drill.wait_until_taken_up()
    _fill(drill, 2)
    wait_until(
        lambda: cluster.sql("SELECT predicted FROM batchord.runs WHERE state = 'succeeded'") == [(200,)],
        description="the second window is predicted",
    )
    gate.open()
    drill.settle()
    ((error,),) = cluster.sql("SELECT error FROM batchord.attempts WHERE shard = 0 AND state = 'retried'")
    assert "the predictions go to another table now" in error
    other = into or "batchord_results.notes__predict"
    assert cluster.sql(f"SELECT (SELECT count(*) FROM moods), (SELECT count(*) FROM {other})") == [(40, 360)]  # noqa: S608
    drill.check(runs=("succeeded", "succeeded"))
    check_rows(drill, "moods", other, told=True)


def _make(drill: Drill, rules: str = RULES, **declared: Any) -> dict[str, Any]:
    """Makes the table with its rules. Returns what the pipeline declares: one shard for all notes, into the table."""
    drill.cluster.sql(TABLE + rules)
    drill.cluster.pipeline("others", _OTHERS)
    return {"into": "moods", "shard_rows": 400, **declared}


def _at_the_gate(drill: Drill, *, day: int | None = None, **declared: Any) -> Gate:
    """A run that has written two of its batches, and stands before the third. ``day``: of the window that it reads."""
    gate = Gate(drill, **_make(drill, **declared))
    drill.cluster.start("control", "worker", "beat")
    if day is None:
        drill.run()
    else:
        _fill(drill, day)
    gate.wait_until_reached()
    assert drill.cluster.sql("SELECT count(*) FROM moods") == [(40,)]
    return gate


def _at_its_end(drill: Drill) -> None:
    """All rows are written, and nobody is there to end the step: its worker is dead, and beat not yet started."""
    drill.declare(**_make(drill))
    drill.cluster.start("control", "worker", faults={"worker": "after-shard-finish=kill-parent@1"})
    drill.run()
    drill.wait_until_fired("after-shard-finish")
    assert drill.cluster.sql("SELECT state, predicted FROM batchord.shards") == [("done", 400)]


def _fill(drill: Drill, day: int) -> None:
    window = [part for name, date in (("--from", day), ("--to", day + 1)) for part in (name, f"2026-01-0{date}T00:00Z")]
    drill.cluster.batchord("run", "notes", *window)


def _predict_others(drill: Drill) -> None:
    run = drill.cluster.batchord("run", "others", "--wait", "--json")
    assert json.loads(run.stdout)["state"] == "succeeded"
