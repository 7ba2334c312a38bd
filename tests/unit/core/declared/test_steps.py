"""A step of each kind reports all of its problems, and how its function is called."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from batchord import Bash, Branch, FunctionModel, Model, Python, Sql
from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.declared.step_context import StepContext
from batchord.core.declared.steps import Predict, Step, TaskStep, retry_of
from batchord.sources.sql import SqlSource

#: Builds a sound step of one kind, with options.
Build = Callable[..., Any]


def _predict(name: Any = "a", **options: Any) -> Predict:
    return Predict(name, source=SqlSource("SELECT id FROM t", key="id"), model=len, **options)


def _python(name: Any = "a", **options: Any) -> Python:
    return Python(name, lambda: None, **options)


def _branch(name: Any = "a", **options: Any) -> Branch:
    return Branch(name, lambda: "b", **options)


def _sql(name: Any = "a", **options: Any) -> Sql:
    return Sql(name, "SELECT 1", **options)


def _bash(name: Any = "a", **options: Any) -> Bash:
    return Bash(name, "true", **options)


_TASKS = [_python, _branch, _sql, _bash]
_ALL = [_predict, *_TASKS]


@pytest.mark.parametrize("build", _ALL)
def test_a_sound_step_has_no_problems(build: Build) -> None:
    """With all options or without."""
    options = {} if build is _predict else {"time_limit": timedelta(seconds=1), "queue": "steps-2_gpu"}

    assert build().problems() == []
    assert build(after=["b", "c"], join="always", retry=Retry(3), **options).problems() == []


@pytest.mark.parametrize("build", _ALL)
@pytest.mark.parametrize("name", ["", "A", "my step", "1st", "-a", "a" * 64, "a.b", "a\n", None, 7])
def test_a_name_that_cannot_stand_in_a_table_or_a_command_is_refused(build: Build, name: Any) -> None:
    """The same rule as for pipelines."""
    assert build(name).problems() == [f"{name!r} cannot be a step name: use lower-case letters, digits, '_' and '-'"]


@pytest.mark.parametrize("build", _ALL)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"join": "any"}, "join='any' is unknown: use 'all_done_ok' or 'always'"),
        ({"join": None}, "join=None is unknown"),
        ({"retry": 3}, "retry=3: give Retry(3)"),
        ({"retry": Retry(-1)}, "Retry(-1): give a number of attempts"),
    ],
)
def test_options_of_every_step_say_what_they_take(build: Build, options: dict[str, Any], said: str) -> None:
    """One problem for each."""
    (problem,) = build(**options).problems()

    assert problem.startswith(said)


@pytest.mark.parametrize("build", _TASKS)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time_limit": 60}, "time_limit=60: give a timedelta of at least a second, or None"),
        ({"time_limit": timedelta(0)}, "time_limit=datetime.timedelta(0): give a timedelta of at least a second"),
        ({"time_limit": timedelta(seconds=-5)}, "give a timedelta of at least a second"),
        ({"time_limit": timedelta(milliseconds=999)}, "give a timedelta of at least a second"),
        ({"queue": ""}, "queue='' cannot be a queue name: use lower-case letters, digits, '_' and '-'"),
        ({"queue": "My Queue"}, "queue='My Queue' cannot be a queue name"),
        ({"queue": "a,b"}, "queue='a,b' cannot be a queue name"),
        ({"queue": None}, "queue=None cannot be a queue name"),
    ],
)
def test_options_of_steps_that_are_executed_as_a_whole(build: Build, options: dict[str, Any], said: str) -> None:
    """A limit and a queue; a name with a comma would be two queues on a worker's command line."""
    (problem,) = build(**options).problems()

    assert said in problem


@pytest.mark.parametrize("build", _ALL)
def test_one_name_is_one_name_and_not_its_letters(build: Build) -> None:
    """Wherever a list of names is asked for."""
    assert build(after="score").after == ("score",)
    assert build(after=["b", "c"]).after == ("b", "c")
    assert build().after == ()


@pytest.mark.parametrize("build", _ALL)
def test_a_value_in_after_that_is_not_a_name_is_reported(build: Build) -> None:
    """A declaration can be imported with any value in it. The problem shows no memory address."""
    step = _python("prepare")

    for given in (step, (step,), [step]):
        assert build(after=given).problems() == ["after= holds a step itself: give its name: after=['prepare']"]
    assert build(after=5).problems() == ["after= holds an int: give names of steps: after=['prepare']"]
    assert build(after=["b", None]).problems() == ["after= holds None: give names of steps: after=['prepare']"]
    assert build(after=len).problems() == [
        "after= holds a builtin_function_or_method: give names of steps: after=['prepare']"
    ]
    assert build(after=None).after == ()
    assert build(after=None).problems() == []


@pytest.mark.parametrize("build", [_python, _bash])
@pytest.mark.parametrize("given", ["no", 1, None])
def test_idempotent_is_yes_or_no(build: Build, given: Any) -> None:
    """The text 'no' would count as yes."""
    assert build(idempotent=given).problems() == [f"idempotent={given!r}: give True or False"]


@pytest.mark.parametrize("option", ["batch_rows", "shard_rows"])
@pytest.mark.parametrize("given", ["5", 0, 1.5, True])
def test_sizes_are_whole_numbers(option: str, given: Any) -> None:
    """A text is none, whatever it looks like."""
    assert _predict(**{option: given}).problems() == [f"{option}={given!r} must be at least 1, and a whole number"]


def test_a_surprise_in_a_part_hides_no_other_problem() -> None:
    """An unexpected error in a model's check is reported beside the other problems."""

    class Surprising(Model):
        def problems(self) -> list[str]:
            raise TypeError("odd")

    model = Surprising()
    step = Predict("a", source=SqlSource("SELECT 1", key=""), model=model, join="any")  # type: ignore[arg-type]

    said = step.problems()

    assert len(said) == 3
    assert "the check failed: TypeError: odd" in said[-1]


def test_all_problems_of_a_step_are_found_at_once() -> None:
    """An author mends a file once."""
    wrong: dict[str, Any] = {"join": "any", "retry": 3, "time_limit": 60, "queue": "?"}

    assert len(Bash("My Step", "", **wrong).problems()) == 6


@pytest.mark.parametrize(
    ("step", "kind", "limit", "idempotent"),
    [
        (_python(), "python", 3600, True),
        (_python(idempotent=False), "python", 3600, False),
        (_branch(), "branch", 300, True),
        (_sql(), "sql", 3630, True),
        (_bash(), "bash", 3630, False),
        (_bash(idempotent=True, time_limit=None), "bash", None, True),
    ],
)
def test_what_a_step_is_unless_it_says_otherwise(
    step: Any, kind: str, limit: float | None, *, idempotent: bool
) -> None:
    """A command may have done anything when its worker dies: it is not run again unless it says so.

    What ends by itself at its limit is ended from outside only when it does not.
    """
    assert step.kind == kind
    assert step.process_seconds == limit
    assert step.idempotent is idempotent
    assert step.queue == "steps"


def test_a_predict_step_has_no_limit_of_its_own() -> None:
    """Its shards have one each."""
    step = _predict()

    assert not isinstance(step, TaskStep)
    assert step.kind == "predict"
    assert step.declared_model == FunctionModel(len)


@pytest.mark.parametrize("build", _ALL)
def test_a_steps_retry_goes_before_its_pipelines(build: Callable[..., Step]) -> None:
    """Also where it asks for none; without both nothing is tried again."""
    own, default = Retry(1), Retry(5)

    assert retry_of(build(retry=own), default) == own
    assert retry_of(build(), default) == default
    assert retry_of(build(retry=Retry(0)), default) == Retry(0)
    assert retry_of(build(), None) == NO_RETRY


@pytest.mark.parametrize("name", ["predict", "My kind", "", "copy_table"])
def test_a_kind_of_ones_own_has_a_name_that_is_not_taken(name: str) -> None:
    """What the ledger calls 'predict' becomes shards."""

    class CopyTable(TaskStep):
        def execute(self, context: StepContext) -> None: ...

    class Copy(CopyTable):
        kind: ClassVar[str] = name

    said = Copy("a").problems()

    assert said == [] if name == "copy_table" else f"Copy cannot be a kind of step named {name!r}" in said[0]
    assert (CopyTable.kind, CopyTable("a").problems()) == ("copytable", [])


def test_a_kind_that_does_nothing_is_a_problem() -> None:
    """Also the base itself."""

    class Copy(TaskStep):
        pass

    said = "does nothing: give the class a method execute(self, context)"

    assert Copy("a").problems() == [f"the kind Copy {said}"]
    assert TaskStep("a").problems() == [f"the kind TaskStep {said}"]
