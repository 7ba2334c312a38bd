"""Declarations say everything that is wrong with them at once, and what to do about it."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from app.core.alerts import Alerts
from app.core.errors import UnknownPipeline
from app.core.limits import RejectionLimit
from app.core.models import FunctionModel, Images, SklearnModel, TransformersImage, TransformersText
from app.core.pipelines import Pipeline
from app.core.retries import Retry
from app.core.runs import NewStep, StepKind
from app.core.schedules import Every, after_pipeline, cron, every, once, rrule
from app.core.sources import SqlSource
from app.core.steps import Bash, Branch, Predict, Python, Sql

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
    """An author mends a file once, not problem by problem."""
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
    assert "step 'late': after='missing' names no step" in problems


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
        ([_step("a", "b")], "step 'a': after='b' names no step of this pipeline"),
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
    """The message names both."""
    assert Pipeline("reviews", **half).problems() == ["it has no steps: give source= and model=, or steps=[...]"]


@pytest.mark.parametrize("extra", [{"source": _SOURCE}, {"model": _shout}, {"source": _SOURCE, "model": _shout}])
def test_the_two_forms_do_not_mix(extra: dict[str, Any]) -> None:
    """Otherwise one of them would be ignored without a word."""
    (problem,) = Pipeline("reviews", steps=[_step("a")], **extra).problems()

    assert "keep one of the two forms" in problem


@pytest.mark.parametrize("given", ["0 * * * *", 600, timedelta(minutes=10), cron])
def test_something_that_is_no_schedule_is_answered_with_an_example(given: Any) -> None:
    """A cron expression without cron() is the likeliest slip."""
    (problem,) = Pipeline("reviews", schedule=given, source=_SOURCE, model=_shout).problems()

    assert "use every(minutes=10) or cron('0 * * * *')" in problem


def test_a_step_that_is_given_other_things_says_what_it_wants() -> None:
    """A table's name is no source, a file's name no model."""
    step = Predict("a", source="reviews", model="model.skops")  # type: ignore[arg-type]

    assert step.problems() == [
        "source= is a str: give a SqlSource",
        "model= is a str: give a model or a function of a DataFrame",
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (SqlSource("UPDATE t SET x = 1", key="id"), "no query"),
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
        (RejectionLimit(share=1.5), "rejection_limit: share=1.5 is no share: give a number from 0 to 1"),
        (RejectionLimit(count=-1), "rejection_limit: count=-1 is negative"),
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


def _work(name: str, *after: str, **options: Any) -> Python:
    return Python(name, lambda: None, after=after, **options)


def _choose(name: str, *after: str) -> Branch:
    return Branch(name, lambda: "left", after=after)


def test_a_graph_of_all_kinds_is_sound() -> None:
    """A run keeps it as it is declared."""
    pipeline = Pipeline(
        "reviews",
        steps=[
            Sql("load", "SELECT 1", queue="sql"),
            _step("score", "load"),
            _choose("choose", "score"),
            _work("left", "choose", time_limit=None),
            Bash("right", "true", after="choose", time_limit=timedelta(minutes=2)),
            _work("last", "left", "right", join="always"),
        ],
    )

    assert pipeline.problems() == []
    assert pipeline.new_steps() == (
        NewStep(name="load", kind=StepKind.SQL, queue="sql", time_limit=3600),
        NewStep(name="score", kind=StepKind.PREDICT, after=("load",)),
        NewStep(name="choose", kind=StepKind.BRANCH, after=("score",), queue="steps", time_limit=300),
        NewStep(name="left", kind=StepKind.PYTHON, after=("choose",), queue="steps"),
        NewStep(name="right", kind=StepKind.BASH, after=("choose",), queue="steps", time_limit=120),
        NewStep(
            name="last", kind=StepKind.PYTHON, after=("left", "right"), join="always", queue="steps", time_limit=3600
        ),
    )
    assert [step.name for step in pipeline.predict_steps] == ["score"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([_work("a", "b"), _step("b", "a")], "steps a, b wait for each other in a cycle: remove one after="),
        ([_choose("a", "b"), _work("b", "a")], "steps a, b wait for each other in a cycle"),
        ([_work("a"), _work("b", "c"), _work("c", "b"), _work("d", "c")], "steps b, c, d wait for each other"),
        ([_work("a"), _step("a")], "two steps are named 'a'"),
        ([_work("a", "b")], "step 'a': after='b' names no step of this pipeline"),
        ([_choose("a")], "step 'a' is a branch, but no step has after=['a']: there is no way to choose"),
        ([_work("a"), _choose("b", "a")], "step 'b' is a branch, but no step has after=['b']"),
    ],
)
def test_a_graph_of_all_kinds_that_cannot_run_says_why(steps: list[Any], said: str) -> None:
    """One problem for each."""
    (problem,) = Pipeline("reviews", steps=steps).problems()

    assert problem.startswith(said)


def test_what_is_wrong_with_a_step_is_said_with_its_name() -> None:
    """All of it, whatever the step's kind."""
    pipeline = Pipeline("reviews", steps=[Bash("clean", ""), Sql("load", ""), Python("work", cast("Any", None))])

    assert [problem.partition(": ")[0] for problem in pipeline.problems()] == [
        "step 'clean'",
        "step 'load'",
        "step 'work'",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"overlap": "wait"}, "overlap='wait' is unknown: use 'skip' or 'queue'"),
        ({"overlap": None}, "overlap=None is unknown"),
        ({"catchup": "none"}, "catchup='none' is unknown: use 'latest' or 'all'"),
        ({"catchup": True}, "catchup=True is unknown"),
        ({"jitter": 60}, "jitter=60: give a timedelta that is not negative"),
        ({"jitter": timedelta(seconds=-1)}, "give a timedelta that is not negative"),
        ({"jitter": None}, "jitter=None: give a timedelta"),
        ({"retry": 3}, "retry=3: give Retry(3)"),
        ({"retry": Retry(-1)}, "Retry(-1): give a number of attempts"),
        ({"alerts": timedelta(hours=1)}, "give Alerts(max_run_time=timedelta(minutes=20))"),
        ({"alerts": None}, "alerts=None: give Alerts("),
        ({"alerts": Alerts(max_run_time=timedelta(0))}, "alerts: max_run_time=datetime.timedelta(0): give a timedelta"),
        ({"alerts": Alerts(max_time_without_success=cast("Any", 60))}, "alerts: max_time_without_success=60: give a"),
        ({"alerts": Alerts(urls_env="slack://token@channel")}, "the name of an environment variable, not an address"),
        ({"description": 5}, "description= is a int: give a text"),
        ({"schedule": Every}, "is no schedule: use every(minutes=10)"),
        ({"schedule": Every(cast("Any", 5))}, "Every(5): give a timedelta, or use every(minutes=10)"),
        ({"schedule": after_pipeline("b", states=cast("Any", 5))}, "give some of succeeded, partial, failed"),
        ({"schedule": after_pipeline("b", states=cast("Any", None))}, "give some of succeeded, partial, failed"),
        ({"schedule": after_pipeline("b", states=cast("Any", [["x"]]))}, "give some of succeeded, partial, failed"),
        ({"max_active_runs": True}, "max_active_runs=True: give a whole number from 1"),
        ({"max_active_runs": 0}, "max_active_runs=0: give a whole number from 1"),
        ({"max_active_runs": 1.5}, "max_active_runs=1.5: give a whole number from 1"),
        ({"max_active_runs": "2"}, "max_active_runs='2': give a whole number from 1"),
        ({"schedule": after_pipeline("")}, "after_pipeline(''): give the name of a pipeline"),
        ({"schedule": after_pipeline("b", states=["done"])}, "give some of succeeded, partial, failed"),
        ({"schedule": once(datetime(2027, 1, 1))}, "has no time zone"),  # noqa: DTZ001 -- the slip that is meant
        ({"schedule": rrule("FREQ=NEVER")}, "NEVER"),
    ],
)
def test_an_option_that_cannot_be_meant_says_why(options: dict[str, Any], said: str) -> None:
    """One problem for each, with what to give instead."""
    (problem,) = Pipeline("reviews", steps=[_work("a")], **options).problems()

    assert said in problem


@pytest.mark.parametrize(
    "options",
    [
        {"overlap": "queue", "catchup": "all", "jitter": timedelta(minutes=10), "retry": Retry(3)},
        {"alerts": Alerts(max_run_time=timedelta(minutes=20), urls_env="MY_ALERTS"), "max_active_runs": 8},
        {"schedule": once(datetime(2027, 1, 1, tzinfo=UTC))},
        {"schedule": rrule("FREQ=MONTHLY;BYDAY=-1FR")},
        {"schedule": after_pipeline("features", states=["succeeded", "partial"])},
    ],
)
def test_options_that_can_be_meant_are_accepted(options: dict[str, Any]) -> None:
    """Together and alone."""
    assert Pipeline("reviews", steps=[_work("a")], **options).problems() == []


def test_runs_at_once_must_not_read_the_same_records() -> None:
    """Each Predict step needs both ends of a window; other steps are the author's business."""
    windowed = SqlSource("SELECT id FROM t WHERE at >= :window_start AND at < :window_end", key="id")
    steps = [_work("a"), _step("whole"), Predict("windowed", source=windowed, model=_shout)]

    (problem,) = Pipeline("reviews", steps=steps, max_active_runs=2).problems()

    assert problem.startswith("step 'whole': max_active_runs=2 needs ':window_start' and ':window_end'")
    endless = Predict("endless", source=SqlSource("SELECT id FROM t WHERE at >= :window_start", key="id"), model=_shout)
    (problem,) = Pipeline("reviews", steps=[endless], max_active_runs=2).problems()
    assert problem.startswith("step 'endless': max_active_runs=2 needs ':window_start' and ':window_end'")
    assert Pipeline("reviews", steps=steps, max_active_runs=1).problems() == []
    assert Pipeline("reviews", steps=[steps[0], steps[2]], max_active_runs=2).problems() == []


def test_steps_are_a_list() -> None:
    """A step by itself, or none, is told and not raised."""
    for step in (_work("a"), _step("a")):
        assert Pipeline("reviews", steps=cast("Any", step)).problems() == [
            "steps= is a step by itself: give a list, steps=[...]"
        ]
    assert Pipeline("reviews", steps=cast("Any", None)).problems() == [
        "it has no steps: give source= and model=, or steps=[...]"
    ]
    for given in (5, "a"):
        (problem,) = Pipeline("reviews", steps=cast("Any", given)).problems()
        assert problem == f"steps holds a {type(given).__name__}: give Predict, Python, Sql, Bash or Branch"


def test_an_unknown_name_in_after_is_answered_with_those_there_are() -> None:
    """A slip of the pen; what is no name at all is told once."""
    late = Python("late", lambda: None, after=cast("Any", ["praepare", 5]))

    assert Pipeline("reviews", steps=[_work("prepare"), _work("other"), late]).problems() == [
        "step 'late': after= holds a int: give names of steps: after=['prepare']",
        "step 'late': after='praepare' names no step of this pipeline; there are: prepare, other",
    ]
    (problem,) = Pipeline("reviews", steps=[_work("a", "b")]).problems()
    assert problem.endswith("there are: no others")


def test_a_value_of_a_wrong_type_hides_no_other_problem() -> None:
    """Whatever stumbles over it, the rest is told too."""
    wrong: Any = Predict("a", source=cast("Any", "reviews"), model=_shout, batch_rows=cast("Any", "5"))
    named: Any = Python(cast("Any", ["b"]), lambda: None, after=wrong)
    pipeline = Pipeline(
        "reviews",
        steps=[wrong, named, Sql("c", cast("Any", 5)), Bash("d", "")],
        alerts=Alerts(max_record_age=timedelta(hours=1)),
        max_active_runs=2,
    )

    said = pipeline.problems()

    assert not [each for each in said if "cannot be checked" in each]
    for each in ("max_record_age= needs", "source= is a str", "batch_rows='5'", "['b'] is no step name"):
        assert any(each in problem for problem in said), each
    assert said[-2:] == [
        "step 'c': sql= holds a int: give a statement, or a list of statements",
        "step 'd': command= is empty: give what bash is to run",
    ]


def test_a_step_that_cannot_be_checked_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its surprise is told with its name."""

    def stumble(_self: Sql) -> list[str]:
        raise RuntimeError("odd")

    monkeypatch.setattr(Sql, "problems", stumble)

    assert Pipeline("reviews", steps=[Sql("a", "SELECT 1"), Bash("b", "")]).problems() == [
        "step 'a': it cannot be checked: RuntimeError: odd; look for a value of a wrong type",
        "step 'b': command= is empty: give what bash is to run",
    ]


def test_the_age_of_records_needs_their_arrival() -> None:
    """Nobody knows otherwise how long a record has waited; one step with an arrival is enough."""
    alerts = Alerts(max_record_age=timedelta(hours=1))
    dated = Predict("dated", source=SqlSource("SELECT id, at FROM t", key="id", arrival="at"), model=_shout)

    for steps in ([_step("a")], [_work("a")]):
        (problem,) = Pipeline("reviews", steps=steps, alerts=alerts).problems()
        assert problem == "alerts: max_record_age= needs a Predict step whose source has an arrival= column"
    assert Pipeline("reviews", steps=[_step("a"), dated], alerts=alerts).problems() == []


def test_a_step_of_another_kind_says_that_the_file_has_changed() -> None:
    """A worker may be older or newer than the run that it works for: another one may know the step as it was."""
    pipeline = Pipeline("reviews", steps=[_step("score"), _work("work")])

    assert pipeline.predict_step("score").name == "score"
    assert pipeline.task("work").name == "work"
    with pytest.raises(UnknownPipeline, match="Step 'work' of pipeline 'reviews' is a Python step in this process"):
        pipeline.predict_step("work")
    with pytest.raises(UnknownPipeline, match="Step 'score' of pipeline 'reviews' is a Predict step in this process"):
        pipeline.task("score")
    for ask in (pipeline.step, pipeline.predict_step, pipeline.task):
        with pytest.raises(UnknownPipeline, match="has no step 'gone' in this process"):
            ask("gone")


def test_only_an_event_makes_a_pipeline_a_follower() -> None:
    """A schedule by time names no other."""
    follows = after_pipeline("features")

    assert Pipeline("a", schedule=follows, steps=[_work("a")]).after == follows
    assert Pipeline("a", schedule=every(hours=1), steps=[_work("a")]).after is None
