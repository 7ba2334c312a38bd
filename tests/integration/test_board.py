"""The first page's report: each pipeline with its newest runs, however many runs there are."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batchord.catalog import Loaded
from batchord.core.run.runs import RunState
from batchord.ledger import overview
from batchord.reports.board import board
from batchord.reports.metric_names import PENDING_AGE
from batchord.reports.metrics import read_metrics
from tests.integration.flow_parts import Bench

#: Three thousand runs of this pipeline and of another, one a minute: every tenth failed.
_FILL = """
    INSERT INTO batchord.runs (id, pipeline, kind, trigger, state, discovered, predicted, rejected, created_at,
                               started_at, finished_at)
    SELECT overlay('01970000-0000-7000-8000-000000000000' placing lpad(n::text, 8, '0') from 29)::uuid,
           CASE WHEN n % 2 = 0 THEN 'items' ELSE 'other' END, 'manual', 'call',
           CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'succeeded' END,
           1000, CASE WHEN n % 10 = 0 THEN 400 ELSE 990 END, 10,
           '2026-01-01Z'::timestamptz + n * interval '1 minute', '2026-01-01Z'::timestamptz + n * interval '1 minute',
           '2026-01-01Z'::timestamptz + n * interval '1 minute' + interval '10 seconds'
    FROM generate_series(1, 6000) AS n;
    INSERT INTO batchord.alerts (event, kind, pipeline, title, message, created_at)
    SELECT 'e' || n, 'run-failed', 'items', 't', 'm', now() - n * interval '10 hours' FROM generate_series(1, 5) AS n;
    ANALYZE batchord.runs;
"""


#: The newest run left a record, an hour after it was planned.
_LEFT = """
    UPDATE batchord.shards SET predicted = 0;
    UPDATE batchord.steps SET planned_at = batchord.now() - interval '1 hour';
"""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline with many runs."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare()
        bench.sql(_FILL)
        yield bench


def test_it_has_the_newest_runs_and_what_they_left(bench: Bench) -> None:
    """The oldest first; the last one's records without an outcome; the usual rate; the alerts of a day."""
    shown = board(_loaded(bench), lambda: bench.ledger)
    (line,) = shown.lines

    assert (line.pipeline.name, len(line.runs), shown.at_work) == ("items", 30, False)
    assert [run.created_at for run in line.runs] == sorted(run.created_at for run in line.runs)
    assert line.last is not None
    assert (line.last.state, line.last.seconds) == (RunState.FAILED, timedelta(seconds=10).total_seconds())
    assert (line.pending, line.alerts, line.usual_rate) == (590, 2, 100.0)
    assert len(line.rates) == 30


def test_a_run_at_work_counts_before_the_last_one(bench: Bench) -> None:
    """Its pending records are the pipeline's, and the page is kept current fast."""
    bench.sql(
        "UPDATE batchord.runs SET state = 'running', finished_at = NULL, discovered = 50, predicted = 20, rejected = 0 "
        "WHERE pipeline = 'items' AND created_at = (SELECT max(created_at) FROM batchord.runs WHERE pipeline = 'items')"
    )
    shown = board(_loaded(bench), lambda: bench.ledger)
    assert (shown.at_work, shown.lines[0].pending) == (True, 30)


def test_it_has_the_age_of_the_oldest_pending_record(bench: Bench) -> None:
    """That of the metric: since its step was planned; 0 if none is pending; None if no run has planned."""
    before = board(_loaded(bench), lambda: bench.ledger).lines[0].oldest_pending
    bench.sql("INSERT INTO records (body) VALUES ('x')")
    bench.run("items")
    none = board(_loaded(bench), lambda: bench.ledger).lines[0].oldest_pending
    bench.sql(_LEFT)

    some = board(_loaded(bench), lambda: bench.ledger).lines[0].oldest_pending
    reading = read_metrics(version="1", ledger=bench.ledger, depths=None, standard_queues=())
    (metric,) = [each.value for each in reading.samples if each.metric is PENDING_AGE and each.labels == ("items",)]

    assert (before, none) == (None, 0.0)
    assert some is not None
    assert 3_600 <= some <= metric < 3_700


def test_nobody_waits_long_for_the_age(bench: Bench) -> None:
    """While its query is held up, the page shows the rest, and that the age is unknown."""
    bench.sql("INSERT INTO records (body) VALUES ('x')")
    bench.run("items")
    with psycopg.connect(bench.url) as other:
        other.execute("LOCK TABLE batchord.shards IN ACCESS EXCLUSIVE MODE")
        shown = board(_loaded(bench), lambda: bench.ledger)

    assert (shown.unknown_because, shown.lines[0].oldest_pending) == (None, None)
    assert shown.lines[0].last is not None


def test_only_the_newest_runs_are_read(bench: Bench) -> None:
    """By an index: the first page costs the same after years."""
    with psycopg.connect(bench.url, autocommit=True) as connection:
        rows = connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {overview._NEWEST}",  # noqa: SLF001 -- the statement itself
            {"names": ["items", "other", "none"], "each": 30},
        ).fetchone()
    assert rows is not None
    read = sum(
        node["Actual Rows"] * node["Actual Loops"] for node in _nodes(rows[0][0]["Plan"]) if "Scan" in _kind(node)
    )
    assert {_kind(node) for node in _nodes(rows[0][0]["Plan"]) if node.get("Relation Name") == "runs"} == {"Index Scan"}
    assert read <= 3 + 60 + 60  # the names, and the runs of two pipelines, read and passed on


def test_the_models_are_those_of_the_newest_run_that_planned(bench: Bench) -> None:
    """A run that was skipped says nothing of them."""
    bench.sql(
        "UPDATE batchord.runs SET models = jsonb_build_object('predict', 'm@' || extract(minute FROM created_at)::int) "
        "WHERE extract(minute FROM created_at)::int % 5 = 1"
    )
    (line,) = board(_loaded(bench), lambda: bench.ledger).lines
    newest = max(run.created_at for run in line.runs if run.created_at.minute % 5 == 1)
    assert line.versions == (("predict", f"m@{newest.minute}"),)


def test_the_alerts_of_a_day_are_counted_by_index(bench: Bench) -> None:
    """However many older ones there are."""
    bench.sql(
        "INSERT INTO batchord.alerts (event, kind, pipeline, title, message, created_at) "
        "SELECT 'old' || n, 'run-failed', 'items', 't', 'm', now() - n * interval '1 hour' - interval '1 day' "
        "FROM generate_series(1, 5000) AS n; ANALYZE batchord.alerts"
    )
    assert bench.ledger.overview.alerts_of_a_day(["items"]) == {"items": 2}
    with psycopg.connect(bench.url, autocommit=True) as connection:
        rows = connection.execute(
            f"EXPLAIN {overview._ALERTS}",  # noqa: SLF001 -- the statement itself
            {"names": ["items"]},
        ).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "alerts_recent" in plan
    assert "Seq Scan" not in plan


def _loaded(bench: Bench) -> Loaded:
    return Loaded(pipelines=bench.catalog.pipelines, files={name: f"{name}.py" for name in bench.catalog.pipelines})


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _kind(node: dict[str, Any]) -> str:
    return str(node["Node Type"])
