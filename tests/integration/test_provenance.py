"""The view of provenance: a row for each prediction, found by its record without reading a whole table."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.flow.drive.cancel import cancel_run
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of

_POINT = "SELECT * FROM batchord.provenance WHERE pipeline = 'items' AND step = 'score' AND record_key = '7'"
#: As many rows as make an index cheaper than a whole table, for every table of the view.
_FILL = """
    INSERT INTO batchord.runs (id, pipeline, kind, trigger, state)
        SELECT overlay('01970000-0000-7000-8000-000000000000' placing lpad(n::text, 8, '0') from 29)::uuid,
               'items', 'manual', 'call', 'succeeded' FROM generate_series(1, 2000) AS n;
    INSERT INTO batchord.steps (run_id, name, ordinal, kind, state)
        SELECT id, 'score', 0, 'predict', 'done' FROM batchord.runs;
    INSERT INTO batchord.shards (run_id, step, index, first_position, last_position, planned, discovered)
        SELECT id, 'score', 0, '[]', '[]', 10, 10 FROM batchord.runs;
    INSERT INTO batchord.attempts (run_id, step, shard, attempt, worker)
        SELECT id, 'score', 0, 1, 'test:1' FROM batchord.runs;
    INSERT INTO batchord.writers (results, run_id, shard, attempt, model_version)
        SELECT (SELECT id FROM batchord.results), run.id, 0, 1, 'v1' FROM batchord.runs AS run ORDER BY run.id;
    INSERT INTO batchord_results.items__score (id, writer)
        SELECT n, id FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM batchord.writers) AS writer,
             generate_series(1 + (place - 1) * 50, place * 50) AS n;
    INSERT INTO batchord.earlier_predictions (pipeline, step, record_key, model_version, run_id, shard, attempt)
        SELECT 'others', 'score', n::text, 'v1', id, 0, 1
        FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM batchord.runs) AS run,
             generate_series(1 + (place - 1) * 10, place * 10) AS n;
    ANALYZE batchord.runs, batchord.steps, batchord.shards, batchord.attempts, batchord.writers,
            batchord.earlier_predictions, batchord_results.items__score;
"""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline over three records."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare()
        bench.insert(3)
        yield bench


def test_a_prediction_is_told_with_its_run_its_shard_and_its_worker(bench: Bench) -> None:
    """Also how many attempts its shard took, and when its step was planned."""
    run_id, shards = bench.planned()
    first = bench.claim(run_id)
    bench.ledger.shards.commit(first, batch_of(1))
    bench.expire_leases()
    bench.run_on(run_id, shards)
    columns = "record_key, run_id::text, kind, trigger, shard, attempt, attempts, worker, code IS NOT NULL"
    rows = bench.sql(
        f"SELECT {columns}, discovered_at <= predicted_at, score FROM batchord.provenance ORDER BY record_key"  # noqa: S608
    )
    common = ("test:1", True, True)
    assert rows == [
        ("1", run_id, "manual", "call", 0, 1, 2, *common, 0.5),
        ("2", run_id, "manual", "call", 0, 2, 2, *common, 2.0),
        ("3", run_id, "manual", "call", 0, 2, 2, *common, 3.0),
    ]


def test_a_prediction_of_a_pruned_run_stays_a_row(bench: Bench) -> None:
    """Only its own columns are left."""
    run = bench.run()
    bench.sql("DELETE FROM batchord.runs")
    row = "SELECT run_id::text, kind, worker, discovered_at, score FROM batchord.provenance WHERE record_key = '2'"
    assert bench.sql(row) == [(run.id, None, None, None, 2.0)]


def test_a_record_is_found_by_indexes_only(bench: Bench) -> None:
    """The planner's own choice, over tables of some size."""
    bench.planned()
    bench.sql("TRUNCATE batchord.runs CASCADE")
    for statement in filter(str.strip, _FILL.split(";")):
        bench.sql(statement)
    plan = "\n".join(bench.column(f"EXPLAIN {_POINT}"))
    assert "Seq Scan" not in plan, plan
    assert plan.count("Index") >= 5, plan
    assert len(bench.sql(_POINT)) == 1


def test_every_role_may_read_it(bench: Bench, database_roles: DatabaseRoles) -> None:
    """As the other views: sources and Sql steps may join it."""
    bench.run()
    for url in (database_roles.ledger, database_roles.author, database_roles.source):
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM batchord.provenance").fetchone() == (3,)


def test_a_cancelled_runs_predictions_are_there_too(bench: Bench) -> None:
    """They stay, and their attempt is known."""
    run_id, _ = bench.planned()
    bench.ledger.shards.commit(bench.claim(run_id), batch_of(1))
    cancel_run(bench.parts(), run_id=run_id)
    query = "SELECT worker, label FROM batchord.provenance WHERE pipeline = %s AND step = %s"
    assert bench.sql(query, ITEMS, STEP) == [("test:1", "good")]
