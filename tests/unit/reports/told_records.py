"""Records whose standing `batchord why` tells, and pipelines that read them."""

from datetime import UTC, datetime
from typing import Any

from batchord.core.calendar.schedules import every
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.reports.why.story import StepStory, story_of
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length

BY_ARRIVAL = SqlSource("SELECT id, body, created_at FROM records", key="id", arrival="created_at")
WINDOWED = SqlSource(
    "SELECT id, body FROM records WHERE created_at >= :window_start AND created_at < :window_end", key="id"
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def why(bench: Bench, key: str, pipeline: str = ITEMS) -> StepStory:
    """The story of a record in a pipeline of one step."""
    (step,) = story_of(bench.parts(), pipeline=pipeline, key=key).steps
    return step


def schedule_of(bench: Bench, schedule: Any) -> None:
    """Declares the pipeline with this schedule."""
    step = Predict(STEP, source=RECORDS, model=length)
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, schedule=schedule, steps=[step])


def hourly(bench: Bench) -> None:
    """Declares it with windows of an hour."""
    step = Predict(STEP, source=WINDOWED, model=length)
    bench.catalog.pipelines[ITEMS] = Pipeline(ITEMS, schedule=every(hours=1), steps=[step])
