"""People are told once of a broken file, of its recovery, and of a scheduled pipeline that has gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord import Python
from batchord.catalog import Problem
from batchord.core.calendar.schedules import every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.run.messages import AlertsKept
from batchord.flow.upkeep.watch import watch
from tests.integration.flow_parts import Bench

_NOTHING = [Python("nothing", lambda: None)]


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline by schedule, one by hand."""
    with Bench(database_url, tmp_path) as bench:
        bench.catalog.pipelines["daily"] = Pipeline("daily", schedule=every(days=1), steps=_NOTHING)
        bench.catalog.pipelines["by-hand"] = Pipeline("by-hand", steps=_NOTHING)
        yield bench


def _alerts(bench: Bench) -> list[tuple[str, str, str]]:
    return bench.sql("SELECT kind, pipeline, message FROM batchord.alerts ORDER BY id")  # type: ignore[return-value]


def _later(bench: Bench) -> None:
    """Moves the times at which pipeline files were last seen two minutes into the past."""
    bench.sql("UPDATE batchord.pipelines SET scheduled_by_file_at = scheduled_by_file_at - interval '2 minutes'")


def test_a_broken_file_is_reported_once_and_so_is_its_repair(bench: Bench) -> None:
    """Further reads and further problems in it raise no new alert."""
    bench.catalog.problems = [Problem(file="a.py", pipeline=None, what="line 3: ValueError: no")]
    assert AlertsKept() in watch(bench.parts())
    bench.catalog.problems = [Problem(file="a.py", pipeline="a", what="it has no steps")]
    assert watch(bench.parts()) == []

    (alert,) = _alerts(bench)
    assert alert[:2] == ("broken-file", "a.py")
    assert "a.py: line 3: ValueError: no" in alert[2]

    bench.catalog.problems = []
    assert AlertsKept() in watch(bench.parts())
    assert watch(bench.parts()) == []
    assert [kind for kind, *_ in _alerts(bench)] == ["broken-file", "recovered"]


def test_a_scheduled_pipeline_that_disappears_is_reported_once(bench: Bench) -> None:
    """When no process has seen its file for a minute."""
    watch(bench.parts())
    bench.catalog.pipelines.clear()
    assert watch(bench.parts()) == []

    _later(bench)
    assert AlertsKept() in watch(bench.parts())
    assert watch(bench.parts()) == []

    ((kind, pipeline, message),) = _alerts(bench)
    assert (kind, pipeline) == ("pipeline-gone", "daily")
    assert "no file declares the scheduled pipeline" in message


def test_a_pipeline_that_comes_back_in_time_is_not_reported(bench: Bench) -> None:
    """As in a deploy, in which one process sees the old files and one the new ones."""
    watch(bench.parts())
    kept = dict(bench.catalog.pipelines)
    bench.catalog.pipelines.clear()
    watch(bench.parts())
    bench.catalog.pipelines.update(kept)
    _later(bench)
    watch(bench.parts())
    bench.catalog.pipelines.clear()

    assert watch(bench.parts()) == []
    assert _alerts(bench) == []


def test_what_a_broken_file_may_declare_is_not_called_gone(bench: Bench) -> None:
    """One event, one alert."""
    watch(bench.parts())
    bench.catalog.pipelines.clear()
    bench.catalog.problems = [Problem(file="daily.py", pipeline=None, what="line 1: SyntaxError: no")]
    _later(bench)

    watch(bench.parts())

    assert [kind for kind, *_ in _alerts(bench)] == ["broken-file"]
