"""What goes on: open runs with their progress, what each worker does, and servers that do not answer."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.cli.terminal import Terminal
from app.cli.top_tables import frame
from batchord.core.errors import TransientError
from batchord.queue.depths import QueueDepths
from batchord.reports.activity import Activity, activity
from batchord.reports.queue_board import WorkerReport
from tests.integration.flow_parts import Bench

#: A shard that is done, one at work for a minute in its second attempt, and a step of another pipeline.
_AT_WORK = """
    UPDATE batchord.runs SET state = 'running', finished_at = NULL, summary = NULL;
    UPDATE batchord.steps SET state = 'running', finished_at = NULL;
    INSERT INTO batchord.shards (run_id, step, index, first_position, last_position, state, planned, discovered,
                                 predicted, rejected, attempt, worker, started_at)
    SELECT run_id, step, 1, first_position, last_position, 'running', 30, 30, 4, 1, 2, 'b:2@00000000.7',
           batchord.now() - interval '2 minutes'
    FROM batchord.shards;
    INSERT INTO batchord.attempts (run_id, step, shard, attempt, worker, started_at)
    SELECT run_id, step, 1, number, 'b:2@00000000.7', batchord.now() - (3 - number) * interval '1 minute'
    FROM batchord.shards CROSS JOIN generate_series(1, 2) AS numbers (number) WHERE index = 0;
"""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline with a run of ten records."""
    with Bench(database_url, tmp_path) as bench:
        bench.declare()
        bench.sql("INSERT INTO records (body) SELECT 'x' FROM generate_series(1, 10)")
        bench.run("items")
        yield bench


def _activity(bench: Bench, redis_url: str | None = None) -> Activity:
    queues = ("control", "text")
    if redis_url is None:
        return activity(bench.catalog.loaded, lambda: bench.ledger, lambda: None, standard_queues=queues)
    with closing(QueueDepths(redis_url)) as depths:
        return activity(bench.catalog.loaded, lambda: bench.ledger, lambda: depths, standard_queues=queues)


def _drawn(shown: Activity, *, width: int = 120) -> str:
    console = Terminal(width=width)
    with console.capture() as captured:
        console.print(frame(shown, now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
    return captured.get()


def test_it_tells_how_far_open_runs_are_and_who_works(bench: Bench, redis_url: str) -> None:
    """Of the current attempts alone; the worker as people know it."""
    bench.sql(_AT_WORK)

    shown = _activity(bench, redis_url)
    (pipeline,), (work,) = shown.pipelines, shown.work

    assert (pipeline.state, pipeline.part, pipeline.pending) == ("running", 15 / 40, 25)
    assert (work.pipeline, work.step, work.shard, work.attempt) == ("items", "score", 1, 2)
    assert 60 <= work.seconds < 90
    assert (shown.workers, shown.more_work) == ({"b:2": 1}, 0)
    assert shown.queues is not None
    assert [each.queue for each in shown.queues] == ["control", "text", "table"]
    drawn = _drawn(shown)
    assert re.search(r"items +running +━+─+ +38%", drawn)
    assert re.search(r"b:2 +items score/1 +2 +0:01:\d\d", drawn)
    assert "1 pipeline, 1 open run, 1 worker at work" in drawn


def test_at_rest_it_shows_how_the_last_run_ended(bench: Bench, redis_url: str) -> None:
    """And nobody who works."""
    shown = _activity(bench, redis_url)

    assert [each.state for each in shown.pipelines] == ["succeeded"]
    assert (shown.pipelines[0].part, list(shown.work)) == (None, [])
    assert "worker  " not in _drawn(shown)


def test_workers_that_do_nothing_are_shown(bench: Bench) -> None:
    """As idle; that no worker answers is said; if nobody asked, nothing is."""
    busy = WorkerReport(name="worker@b", queues=["text", "image"], processes=2, tasks=1)
    idle = WorkerReport(name="control@b", queues=["control"], processes=4, tasks=0)

    def drawn(answering: list[WorkerReport] | None) -> str:
        return _drawn(replace(_activity(bench), answering=answering))

    assert re.search(r"worker@b +2 +1 +text, image", drawn([idle, busy]))
    assert re.search(r"control@b +4 +idle +control", drawn([idle, busy]))
    assert "No worker answers." in drawn([])
    assert "answers." not in drawn(None)
    assert replace(_activity(bench), answering=[idle]).as_json()["workers"][0]["tasks"] == 0


def test_a_server_that_does_not_answer_costs_its_own_part_alone(bench: Bench, redis_url: str) -> None:
    """The frame says which, and shows the rest."""

    def away() -> None:
        raise TransientError("PostgreSQL does not answer.")

    without_redis = _activity(bench)
    with closing(QueueDepths(redis_url)) as depths:
        without_ledger = activity(bench.catalog.loaded, away, lambda: depths, standard_queues=("text",))  # type: ignore[arg-type, return-value]

    assert "The queues are unknown: BATCHORD_REDIS_URL is not set." in _drawn(without_redis)
    assert "items" in _drawn(without_redis)
    assert "The runs are unknown: PostgreSQL does not answer." in _drawn(without_ledger)
    assert "text" in _drawn(without_ledger)


def test_a_narrow_terminal_folds_no_row(bench: Bench, redis_url: str) -> None:
    """A row stays one line, so that the frame keeps its height."""
    bench.sql(_AT_WORK)
    shown = _activity(bench, redis_url)
    assert _drawn(shown, width=56).count("\n") == _drawn(shown, width=200).count("\n")
