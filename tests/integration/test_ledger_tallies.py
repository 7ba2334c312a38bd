"""Counters never fall: what ended runs have counted outlives them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchord.flow.upkeep.prune import prune
from batchord.flow.upkeep.recover import sweep
from batchord.ledger import metrics
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.integration.graph_parts import declare_graph, ran, scoring

#: One run that predicts six records in one shard.
ONE_RUN = {("runs", "succeeded"): 1, ("timed_runs", ""): 1, ("predicted", STEP): 6, ("rejected", STEP): 0}


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Six records and a pipeline that predicts them."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(6)
        declare_graph(bench, scoring())
        yield bench


def counters(bench: Bench) -> dict[tuple[str, str], float]:
    """The counters of the pipeline by name and label."""
    rows = bench.ledger.metrics.counters()
    assert {row["pipeline"] for row in rows} <= {ITEMS}
    return {(row["name"], row["label"]): row["value"] for row in rows}


def years_pass(bench: Bench) -> None:
    """Every run is older than runs are kept."""
    bench.sql("UPDATE batchord.runs SET created_at = created_at - interval '9 years'")


def test_a_run_counts_the_same_before_and_after_it_is_tallied(bench: Bench) -> None:
    """And a second tally of it adds nothing."""
    ran(bench)
    before = counters(bench)
    assert ONE_RUN.items() <= before.items()

    assert bench.ledger.tallies.tally() == 1
    assert counters(bench) == before
    assert bench.ledger.tallies.tally() == 0
    assert counters(bench) == before
    assert bench.value("SELECT count(*) FROM batchord.runs WHERE NOT tallied") == 0


def test_counters_do_not_fall_when_runs_are_pruned(bench: Bench) -> None:
    """Runs that nobody has tallied are tallied first."""
    for _ in range(3):
        bench.insert(1)
        ran(bench)
    before = counters(bench)
    assert before["predicted", STEP] == 9
    years_pass(bench)

    assert prune(bench.parts()).runs == 2  # the newest that succeeded stays
    assert counters(bench) == before


def test_an_open_run_is_not_tallied(bench: Bench) -> None:
    """Its records count all the same, as soon as they are written."""
    run_id, _ = bench.planned(parallelism=1)
    bench.sql("UPDATE batchord.shards SET predicted = 4, rejected = 1")

    assert bench.ledger.tallies.tally_all() == 0
    nothing_ended = {("shards", STEP): 0, ("shard_seconds", STEP): 0}
    assert counters(bench) == {("predicted", STEP): 4, ("rejected", STEP): 1, **nothing_ended}
    assert bench.value("SELECT tallied FROM batchord.runs WHERE id = %s", run_id) is False


def test_the_sweeper_tallies(bench: Bench) -> None:
    """So a run's rows are read by a few scrapes only."""
    ran(bench)
    sweep(bench.parts())

    assert bench.value("SELECT count(*) FROM batchord.runs WHERE NOT tallied") == 0


def test_an_untallied_run_is_kept(bench: Bench) -> None:
    """Whoever deletes runs without tallying them first deletes nothing."""
    ran(bench)
    ran(bench)
    years_pass(bench)
    times: dict[str, Any] = dict.fromkeys(("before", "idle_before"), bench.ledger.runs.now())

    assert bench.ledger.pruning.runs(**times) == 0
    bench.ledger.tallies.tally_all()
    assert bench.ledger.pruning.runs(**times) == 1


def test_lost_attempts_are_counted_by_cause(bench: Bench) -> None:
    """Those that vanished are the leases that were taken over."""
    run_id, _ = bench.planned()
    bench.claim(run_id, worker="dead:1")
    assert ("lost", "vanished") not in counters(bench)
    bench.expire_leases()
    bench.claim(run_id)

    assert counters(bench)["lost", "vanished"] == 1


def test_a_scrape_reads_shards_and_attempts_of_open_runs_alone(bench: Bench) -> None:
    """Even while PostgreSQL believes that no run is tallied: its statistics are of that time."""
    ran(bench)
    bench.sql(
        "INSERT INTO batchord.runs (id, pipeline, kind, trigger, state) "
        "SELECT gen_random_uuid(), 'items', 'manual', 'cli', 'succeeded' FROM generate_series(1, 3000)"
    )
    bench.sql(
        "INSERT INTO batchord.steps (run_id, name, ordinal, kind, state) SELECT id, 'score', 0, 'predict', 'done' "
        "FROM batchord.runs ON CONFLICT DO NOTHING"
    )
    bench.sql(
        "INSERT INTO batchord.shards (run_id, step, index, first_position, last_position, planned, discovered, state) "
        "SELECT id, 'score', 7, '[]', '[]', 1, 1, 'done' FROM batchord.runs"
    )
    bench.sql(
        "INSERT INTO batchord.attempts (run_id, step, shard, attempt, worker, state) "
        "SELECT run_id, step, index, 99, 'test:1', 'done' FROM batchord.shards"
    )
    bench.sql("ANALYZE")
    bench.ledger.tallies.tally_all()
    bench.planned()
    bench.sql(metrics._LIMITS.replace("LOCAL ", ""))  # noqa: SLF001 -- the plan of a scrape is what matters
    plan = "\n".join(bench.column(f"EXPLAIN {metrics._COUNTERS}"))  # noqa: SLF001 -- as above

    assert "shards_pkey" in plan
    assert "Seq Scan on shards" not in plan
    assert "Seq Scan on attempts" not in plan
    assert "Seq Scan on runs" not in plan
