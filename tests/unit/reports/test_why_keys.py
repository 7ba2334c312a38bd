"""`batchord why` finds a record by the key that a person writes, and tells each step's own story."""

from datetime import timedelta

import pytest

from batchord import Python
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError, UnknownPipeline, UnknownStep
from batchord.reports.why.story import RecordState, story_of
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, RECORDS, STEP, Bench, length
from tests.unit.reports.told_records import why


def test_a_key_that_the_query_gives_twice(bench: Bench) -> None:
    """It will be rejected."""
    bench.sql("CREATE TABLE twice (id int, body text)")
    bench.sql("INSERT INTO twice VALUES (7, 'a'), (7, 'b')")
    bench.declare(source=SqlSource("SELECT id, body FROM twice", key="id"))
    assert "the record will be rejected as duplicate-key" in why(bench, "7").why


@pytest.mark.parametrize(
    ("asked", "near"),
    [("'2'", ["2"]), (" 2 ", ["2"]), ("02x", []), ("+2", ["2"]), ("1,002", ["1002"]), ("99", []), ("abc", [])],
)
def test_a_key_that_nobody_knows(predicted: Bench, asked: str, near: list[str]) -> None:
    """Keys that it may stand for are named."""
    predicted.sql("INSERT INTO records (id, body) VALUES (1002, 'far')")
    story = story_of(predicted.parts(), pipeline=ITEMS, key=asked)
    if story.is_known:  # PostgreSQL itself reads the text as the number
        assert story.key in near
    else:
        assert (story.steps[0].state, list(story.near)) == (RecordState.NOT_FOUND, near)


@pytest.mark.parametrize(
    ("kind", "value", "asked", "key"),
    [
        ("text", "'7'", "7", "7"),
        ("text", "'O''Neil #1'", "O'Neil #1", "O'Neil #1"),
        ("char(5)", "'ab'", "ab", "ab"),
        ("char(5)", "'ab'", "ab   ", "ab"),
        ("numeric", "1.50", "1.5", "1.50"),
        ("timestamptz", "'2026-03-01 12:00+01'", "2026-03-01 11:00:00+00", "2026-03-01 11:00:00+00"),
        ("uuid", "'00000000-0000-7000-8000-00000000000A'", "00000000-0000-7000-8000-00000000000a", None),
        ("text", "repeat('x', 600)", "x" * 600, None),
        ("text", "repeat('x', 600)", None, None),
    ],
)
def test_keys_of_all_types_are_found(bench: Bench, kind: str, value: str, asked: str | None, key: str | None) -> None:
    """As the ledger writes them, or as a person writes the value."""
    bench.sql(f"CREATE TABLE typed (id {kind}, body text)")
    bench.sql(f"INSERT INTO typed VALUES ({value}, 'x')")  # noqa: S608
    bench.declare(source=SqlSource("SELECT id, body FROM typed", key="id", settle=timedelta(0)))
    before = asked if asked is None else why(bench, asked)
    assert before is None or before.state is RecordState.PENDING
    bench.run()
    written = bench.value("SELECT record_key FROM batchord.predictions")
    story = story_of(bench.parts(), pipeline=ITEMS, key=asked or written)
    assert (story.steps[0].state, story.steps[0].in_source) == (RecordState.PREDICTED, True)
    assert story.key == (key or written)


def test_a_key_of_several_columns_is_found(bench: Bench) -> None:
    """PostgreSQL reads no text as such a row, so its keys are compared as texts."""
    bench.sql("CREATE TABLE pairs (a int, b text)")
    bench.sql("INSERT INTO pairs VALUES (1, 'x'), (2, 'y')")
    bench.declare(source=SqlSource("SELECT ROW(a, b) AS id, b AS body FROM pairs", key="id", settle=timedelta(0)))
    assert why(bench, "(2,y)").state is RecordState.PENDING
    story = story_of(bench.parts(), pipeline=ITEMS, key="(2, y)")
    assert (story.steps[0].state, story.near) == (RecordState.NOT_FOUND, ["(2,y)"])


def test_each_predict_step_tells_its_own(predicted: Bench) -> None:
    """One of them can be chosen. A pipeline without records says so."""
    steps = [Predict(name, source=RECORDS, model=length) for name in (STEP, "second")]
    predicted.catalog.pipelines[ITEMS] = Pipeline(ITEMS, steps=steps)
    parts = predicted.parts()
    states = {step.step: step.state for step in story_of(parts, pipeline=ITEMS, key="2").steps}
    assert states == {STEP: RecordState.PREDICTED, "second": RecordState.PENDING}
    (second,) = story_of(parts, pipeline=ITEMS, key="2", step="second").steps
    assert second.step == "second"
    predicted.catalog.pipelines["plain"] = Pipeline("plain", steps=[Python("load", print)])
    with pytest.raises(ConfigurationError, match="plain has no Predict step"):
        story_of(parts, pipeline="plain", key="2")
    with pytest.raises(UnknownStep):
        story_of(parts, pipeline=ITEMS, key="2", step="third")
    with pytest.raises(UnknownPipeline):
        story_of(parts, pipeline="nobody", key="2")


def test_programs_get_every_field(predicted: Bench) -> None:
    """Numbers and times as they are."""
    told = story_of(predicted.parts(), pipeline=ITEMS, key="2").as_json()
    assert list(told) == ["pipeline", "key", "steps", "near"]
    (step,) = told["steps"]
    assert set(step) == {
        *("step", "state", "why", "next", "next_run_at", "arrival_column", "arrival", "in_source", "source_error"),
        *("outcome", "outcomes", "attempts", "input", "model_version_now", "reset_at"),
    }
    assert step["outcome"]["record_key"] == "2"
    assert step["input"]["changed"] is False
