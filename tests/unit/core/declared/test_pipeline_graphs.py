"""Pipelines of steps of all kinds: graphs, options, and all problems reported at once."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from batchord import Bash, Branch, Python, Sql
from batchord.core.calendar.schedules import Every, after_pipeline, every, once, rrule
from batchord.core.declared.alerts import Alerts
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.retries import Retry
from batchord.core.declared.steps import Predict
from batchord.core.errors import UnknownPipeline
from batchord.core.run.runs import NewStep
from batchord.sources.sql import SqlSource

_SOURCE = SqlSource("SELECT id, body FROM reviews", key="id")


def _shout(frame: Any) -> Any:
    return frame["body"].str.upper()


def _step(name: str, *after: str, **options: Any) -> Predict:
    return Predict(name, source=_SOURCE, model=_shout, after=after, **options)


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
        NewStep(name="load", kind="sql", queue="sql", time_limit=3630),
        NewStep(name="score", kind="predict", after=("load",)),
        NewStep(name="choose", kind="branch", after=("score",), queue="steps", time_limit=300),
        NewStep(name="left", kind="python", after=("choose",), queue="steps"),
        NewStep(name="right", kind="bash", after=("choose",), queue="steps", time_limit=150),
        NewStep(name="last", kind="python", after=("left", "right"), join="always", queue="steps", time_limit=3600),
    )
    assert [step.name for step in pipeline.predict_steps] == ["score"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([_work("a", "b"), _step("b", "a")], "steps a, b wait for each other in a cycle: remove one after="),
        ([_choose("a", "b"), _work("b", "a")], "steps a, b wait for each other in a cycle"),
        ([_work("a"), _work("b", "c"), _work("c", "b"), _work("d", "c")], "steps b, c, d wait for each other"),
        ([_work("a"), _step("a")], "two steps are named 'a'"),
        ([_work("a", "b")], "step 'a': after='b' names an unknown step; the other steps are:"),
        ([_choose("a")], "step 'a' is a branch, but no step has after=['a']: a branch needs a step to choose"),
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
        (
            {"alerts": Alerts(urls_env="slack://token@channel")},
            "urls_env= must be the name of an environment variable: an address holds secrets",
        ),
        ({"description": 5}, "description= is an int: give a text"),
        ({"schedule": Every}, ": give a schedule such as every(minutes=10)"),
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
    """A single step, or None, is reported as a problem; no error is raised."""
    for step in (_work("a"), _step("a")):
        assert Pipeline("reviews", steps=cast("Any", step)).problems() == [
            "steps= is a single step: give a list, steps=[...]"
        ]
    assert Pipeline("reviews", steps=cast("Any", None)).problems() == [
        "it has no steps: give source= and model=, or steps=[...]"
    ]
    for given, kind in ((5, "an int"), ("a", "a str")):
        (problem,) = Pipeline("reviews", steps=cast("Any", given)).problems()
        assert problem == f"steps holds {kind}: give Predict, Python, Sql, Bash or Branch"


def test_an_unknown_name_in_after_is_answered_with_those_there_are() -> None:
    """A mistyped name is answered with the existing names. A value that is not a name is reported once."""
    late = Python("late", lambda: None, after=cast("Any", ["praepare", 5]))

    assert Pipeline("reviews", steps=[_work("prepare"), _work("other"), late]).problems() == [
        "step 'late': after= holds an int: give names of steps: after=['prepare']",
        "step 'late': after='praepare' names an unknown step; did you mean 'prepare'?",
    ]
    (problem,) = Pipeline("reviews", steps=[_work("a", "b")]).problems()
    assert problem.endswith("the other steps are: none")


def test_a_value_of_a_wrong_type_hides_no_other_problem() -> None:
    """The other problems are still reported if a check fails with an error of its own."""
    wrong: Any = Predict("a", source=cast("Any", "reviews"), model=_shout, batch_rows=cast("Any", "5"))
    named: Any = Python(cast("Any", ["b"]), lambda: None, after=wrong)
    pipeline = Pipeline(
        "reviews",
        steps=[wrong, named, Sql("c", cast("Any", 5)), Bash("d", "")],
        alerts=Alerts(max_record_age=timedelta(hours=1)),
        max_active_runs=2,
    )

    said = pipeline.problems()

    assert not [each for each in said if "the check failed" in each]
    for each in ("max_record_age= needs", "source= is a str", "batch_rows='5'", "['b'] cannot be a step name"):
        assert any(each in problem for problem in said), each
    assert said[-2:] == [
        "step 'c': sql= holds a int: give a statement, or a list of statements",
        "step 'd': command= is empty: give the command that bash runs",
    ]


def test_a_step_that_cannot_be_checked_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unexpected error is reported with the step's name."""

    def stumble(_self: Sql) -> list[str]:
        raise RuntimeError("odd")

    monkeypatch.setattr(Sql, "problems", stumble)

    assert Pipeline("reviews", steps=[Sql("a", "SELECT 1"), Bash("b", "")]).problems() == [
        "step 'a': the check failed: RuntimeError: odd; look for a value of the wrong type",
        "step 'b': command= is empty: give the command that bash runs",
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


def _reports(run: Any) -> Any:
    return run["scroe"].predicted


def _reads_later(run: Any) -> Any:
    return run["last"].value


def _reads_all(run: Any) -> Any:
    return run["load"].value, run["score"].predicted, run["own"]


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (_reports, "its function reads run['scroe'], an unknown step; did you mean 'score'?"),
        (_reads_later, "its function reads run['last'], a step that it does not wait for: add 'last' to after="),
        (_reads_all, "its function reads run['own'], an unknown step; the steps before it are: load, score"),
    ],
)
def test_a_function_that_reads_a_step_that_is_not_before_it_is_a_problem(function: Any, problem: str) -> None:
    """Found before a run has done the work of all steps before it."""
    steps = [Sql("load", "SELECT 1"), _step("score", "load"), Python("own", function, after="score"), _work("last")]

    assert Pipeline("reviews", steps=steps).problems() == [f"step 'own': {problem}"]
