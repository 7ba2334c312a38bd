"""Declarations say everything that is wrong with them at once, and what to do about it."""

from datetime import timedelta
from typing import Any, cast

import pytest

from batchord import FunctionModel, Images, SklearnModel, TransformersImage, TransformersText
from batchord.core.calendar.schedules import cron, every
from batchord.core.declared.limits import RejectionLimit
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import UnknownPipeline
from batchord.sources.sql import SqlSource

_SOURCE = SqlSource("SELECT id, body FROM reviews", key="id")


def _shout(frame: Any) -> Any:
    return frame["body"].str.upper()


def _step(name: str, *after: str, **options: Any) -> Predict:
    return Predict(name, source=_SOURCE, model=_shout, after=after, **options)


def test_a_pipeline_needs_a_name_a_source_and_a_model_and_no_more() -> None:
    """The short form is a pipeline of one step."""
    pipeline = Pipeline("reviews", source=_SOURCE, model=SklearnModel("model.skops"))

    assert pipeline.problems() == []
    assert [step.name for step in pipeline.steps] == ["predict"]
    assert pipeline.predict_step("predict").source is _SOURCE


def test_a_plain_function_is_a_model() -> None:
    """A notebook's function becomes a pipeline as it is."""
    pipeline = Pipeline("reviews", source=_SOURCE, model=_shout)

    assert pipeline.problems() == []
    assert pipeline.predict_step("predict").declared_model == FunctionModel(_shout)


def test_a_graph_of_steps_in_any_order_is_sound() -> None:
    """A step may be written before the one that it waits for; lists are as good as tuples."""
    pipeline = Pipeline("reviews", steps=[_step("c", "a", "b"), _step("a"), _step("b", "a")])

    assert pipeline.problems() == []
    assert pipeline.step("c").after == ("a", "b")


def test_a_step_that_is_not_there_says_that_the_file_has_changed() -> None:
    """A worker may be older or newer than the run that it works for: another one may know the step."""
    with pytest.raises(UnknownPipeline, match="'reviews' has no step 'publish' in this process: its file has changed"):
        Pipeline("reviews", source=_SOURCE, model=_shout).step("publish")


def test_one_name_is_one_name_and_not_its_letters() -> None:
    """Wherever a list of names is asked for."""
    images = Images(column="at", allow=cast("Any", "s3://photos/"), formats=cast("Any", "png"))
    tabular = SklearnModel("m.skops", features=cast("Any", "age"), trusted=cast("Any", "numpy.dtype"))
    later = Predict("later", source=_SOURCE, model=_shout, after=cast("Any", "score"))

    assert (images.allow, images.formats) == (("s3://photos/",), ("PNG",))
    assert (tabular.features, tabular.trusted) == (("age",), ("numpy.dtype",))
    assert Pipeline("reviews", steps=[_step("score"), later]).problems() == []


def test_all_problems_are_found_at_once() -> None:
    """An author corrects a file once, not problem by problem."""
    pipeline = Pipeline(
        "My Reviews",
        schedule=cron("every day"),
        overlap="wait",  # type: ignore[arg-type]
        steps=[
            Predict("Score", source=SqlSource("DELETE FROM t; SELECT 1", key=""), model=_shout, batch_rows=0),
            _step("late", "missing"),
        ],
    )

    problems = "\n".join(pipeline.problems())

    for said in (
        "'My Reviews'",
        "'every day'",
        "'wait'",
        "'Score'",
        "begin with SELECT",
        "';'",
        "no key",
        "batch_rows=0",
    ):
        assert said in problems
    assert "step 'late': after='missing' names an unknown step" in problems


@pytest.mark.parametrize(
    "name", ["", "Reviews", "my reviews", "1st", "-a", "a" * 64, "ä", "a.b", "a/b", "a\n", None, 7]
)
def test_a_name_that_cannot_stand_in_a_table_or_a_command_is_refused(name: Any) -> None:
    """The message shows the name and the characters that are allowed."""
    (problem,) = Pipeline(name, source=_SOURCE, model=_shout).problems()

    assert repr(name) in problem
    assert "use lower-case letters, digits, '_' and '-'" in problem


@pytest.mark.parametrize("name", ["a", "reviews", "my-reviews_2", "a" * 63])
def test_an_ordinary_name_is_accepted(name: str) -> None:
    """Letters, digits, '_' and '-', up to 63 characters."""
    assert Pipeline(name, source=_SOURCE, model=_shout).problems() == []


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([_step("a", "a")], "steps a wait for each other in a cycle: remove one after="),
        ([_step("a", "b"), _step("b", "a")], "steps a, b wait for each other in a cycle: remove one after="),
        ([_step("a", "c"), _step("b", "a"), _step("c", "b")], "steps a, b, c wait for each other in a cycle"),
        ([_step("a"), _step("a")], "two steps are named 'a'"),
        ([_step("a", "b")], "step 'a': after='b' names an unknown step; the other steps are:"),
        (["score"], "steps holds a str: give Predict, Python, Sql, Bash or Branch"),
        ([], "it has no steps: give source= and model=, or steps=[...]"),
    ],
)
def test_a_graph_that_cannot_run_says_why(steps: list[Any], said: str) -> None:
    """Cycles, doubles, unknown steps, things that are no steps."""
    (problem,) = Pipeline("reviews", steps=steps).problems()

    assert problem.startswith(said)


@pytest.mark.parametrize("half", [{"source": _SOURCE}, {"model": _shout}])
def test_half_of_the_short_form_is_no_pipeline(half: dict[str, Any]) -> None:
    """The message names what is missing."""
    (problem,) = Pipeline("reviews", **half).problems()

    assert "give model=" in problem or "give source= and model=" in problem


@pytest.mark.parametrize("extra", [{"source": _SOURCE}, {"model": _shout}, {"source": _SOURCE, "model": _shout}])
def test_the_two_forms_do_not_mix(extra: dict[str, Any]) -> None:
    """Otherwise one of them would be ignored without a word."""
    (problem,) = Pipeline("reviews", steps=[_step("a")], **extra).problems()

    assert "keep one of the two forms" in problem


@pytest.mark.parametrize("given", ["0 * * * *", 600, timedelta(minutes=10), cron])
def test_something_that_is_no_schedule_is_answered_with_an_example(given: Any) -> None:
    """A cron expression without cron() is the likeliest slip."""
    (problem,) = Pipeline("reviews", schedule=given, source=_SOURCE, model=_shout).problems()

    assert "give a schedule such as every(minutes=10) or cron('0 * * * *')" in problem


def test_a_step_that_is_given_other_things_says_what_it_wants() -> None:
    """The name of a table is not a source, and the name of a file is not a model."""
    step = Predict("a", source="reviews", model="model.skops")  # type: ignore[arg-type]

    assert step.problems() == [
        "source= is a str: give a source, such as a SqlSource",
        "model= is a str: give a model, or a function of a DataFrame by its name, without parentheses",
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (SqlSource("UPDATE t SET x = 1", key="id"), "must be a query"),
        (SqlSource("SELECT 1; DROP TABLE t", key="id"), "';' inside"),
        (SqlSource("SELECT 1", key=""), "no key"),
        (SqlSource("SELECT 1", key="id", settle=timedelta(seconds=-1)), "settle= is negative"),
        (SqlSource("SELECT 1", key="id", url="sqlite://", url_env="X"), "keep one"),
    ],
)
def test_a_source_that_cannot_work_says_why(source: SqlSource, said: str) -> None:
    """Before anything is connected to."""
    (problem,) = source.problems()

    assert said in problem


@pytest.mark.parametrize(
    "sql", ["select 1", "\n  WITH a AS (SELECT 1) SELECT * FROM a", "TABLE t", "VALUES (1)", "SELECT 1;\n"]
)
def test_any_query_is_a_source(sql: str) -> None:
    """Whatever gives rows; a trailing semicolon does no harm."""
    assert SqlSource(sql, key="id").problems() == []


def test_a_cast_is_no_window_parameter() -> None:
    """'::' is PostgreSQL's cast."""
    assert SqlSource("SELECT * FROM t WHERE at >= :window_start", key="id").uses_window
    assert not SqlSource("SELECT at::window_start FROM t", key="id").uses_window


def test_another_source_is_another_frontier() -> None:
    """A changed filter may let old records in; an equal declaration keeps its place."""
    same = Predict("a", source=SqlSource("SELECT id, body FROM reviews", key="id"), model=_shout)
    other = Predict("a", source=SqlSource("SELECT id, body FROM reviews WHERE ok", key="id"), model=_shout)

    assert same.source_digest == _step("a").source_digest
    assert other.source_digest != same.source_digest


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (TransformersText("hub/name"), "give text='body'"),
        (TransformersImage("hub/name"), "give images=Images("),
        (TransformersText("hub/name", text="body", revision="main"), "pin all 40 hexadecimal digits"),
        (TransformersText("hub/name", text="body", device="gpu"), "use 'auto', 'cpu', 'cuda' or 'cuda:N'"),
        (TransformersText("hub/name", text="body", task=cast("Any", "generate")), "use 'classify' or 'embed'"),
        (FunctionModel(_shout, empty=cast("Any", "skip")), "use 'reject' or 'predict'"),
        (FunctionModel(_shout, images=Images(column="at", allow=())), "give allow=["),
        (FunctionModel(_shout, images=Images(column="at", allow=("s3://photos",))), "ends with '/'"),
        (FunctionModel(_shout, images=Images(column="at", allow=("http://x/",))), "'http://x/'"),
    ],
)
def test_a_model_that_cannot_work_says_why(model: Any, said: str) -> None:
    """With the step's name in front, as the author wrote it."""
    (problem,) = Pipeline("reviews", steps=[Predict("score", source=_SOURCE, model=model)]).problems()

    assert problem.startswith("step 'score': ")
    assert said in problem


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (RejectionLimit(share=1.5), "rejection_limit: share=1.5: give a number from 0 to 1"),
        (RejectionLimit(count=-1), "rejection_limit: count=-1 is negative: give a whole number from 0"),
    ],
)
def test_a_rejection_limit_that_cannot_be_meant_says_why(limit: RejectionLimit, said: str) -> None:
    """With the step's name in front."""
    assert Pipeline("reviews", steps=[_step("score", rejection_limit=limit)]).problems() == [f"step 'score': {said}"]


@pytest.mark.parametrize("given", [0.5, None, (0.5, 100)])
def test_something_that_is_no_rejection_limit_is_answered_with_an_example(given: Any) -> None:
    """A share alone is the likeliest slip."""
    (problem,) = _step("score", rejection_limit=given).problems()

    assert problem == f"rejection_limit={given!r}: give RejectionLimit(share=0.5, count=100)"


def test_the_short_form_takes_a_rejection_limit_too() -> None:
    """It is the only step's."""
    limit = RejectionLimit(share=0.1, count=5)

    pipeline = Pipeline("reviews", source=_SOURCE, model=_shout, rejection_limit=limit)

    assert pipeline.predict_step("predict").rejection_limit == limit


def test_a_schedule_of_its_own_class_may_be_brought() -> None:
    """Anything with a slot is a schedule."""
    assert Pipeline("reviews", schedule=every(minutes=1), source=_SOURCE, model=_shout).problems() == []
