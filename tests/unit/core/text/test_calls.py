"""A wrong option of a declaration is answered with the right ones."""

import copy
import pickle
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import pytest

import batchord
from batchord import Model, Pipeline, Retry, Source, TaskStep, cron, every, once

#: What authors call besides these are errors, which take any text, and `try_`: a wrapper of it would stand in the
#: tracebacks of their own errors, and Python's own message is as good for it.
_CALLED = [
    name
    for name, value in ((name, getattr(batchord, name)) for name in batchord.__all__)
    if name != "try_" and not (isinstance(value, type) and issubclass(value, Exception))
]


@dataclass(frozen=True)
class _OwnStep(TaskStep):
    place: str
    _: KW_ONLY
    folder: str = "/data"


@dataclass(frozen=True, kw_only=True)
class _OwnSource(Source):
    folder: str = "/data"


@dataclass(frozen=True, kw_only=True)
class _OwnModel(Model):
    folder: str = "/data"


class _OwnInit(TaskStep):
    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)


def _refused(call: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(TypeError) as raised:
        call(*args, **options)
    return str(raised.value)


@pytest.mark.parametrize("name", _CALLED)
def test_every_exported_declaration_names_its_options(name: str) -> None:
    """One that resembles nothing gets the list."""
    said = _refused(getattr(batchord, name), xyzzy=1)

    assert said.startswith(f"{name} has no option 'xyzzy': its options are: ")


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("Pipeline", "shedule", "schedule"),
        ("SqlSource", "arival", "arrival"),
        ("FunctionModel", "txt", "text"),
        ("Python", "affter", "after"),
        ("Images", "colum", "column"),
        ("every", "minuts", "minutes"),
        ("rrule", "timezone", "time_zone"),
        ("Retry", "Times", "times"),
    ],
)
def test_a_mistyped_option_gets_the_one_that_was_meant(name: str, wrong: str, right: str) -> None:
    """The list would only hide it."""
    assert _refused(getattr(batchord, name), **{wrong: 1}) == f"{name} has no option {wrong!r}: did you mean {right!r}?"


@pytest.mark.parametrize("kind", [_OwnStep, _OwnSource, _OwnModel])
def test_an_authors_own_kind_needs_nothing_for_it(kind: Any) -> None:
    """Its own options are among the suggestions."""
    assert _refused(kind, "x", foldr="/x") == f"{kind.__name__} has no option 'foldr': did you mean 'folder'?"


def test_a_kind_that_takes_any_option_gets_them() -> None:
    """Python's own check follows, in the class that it hands them to."""
    assert "xyzzy" in _refused(_OwnInit, "a", xyzzy=1)
    assert _OwnInit("a", queue="gpu").queue == "gpu"


@pytest.mark.parametrize(
    ("call", "args", "said"),
    [
        (Retry, (3, 10), "Retry takes only times without a name, but got 2 such arguments: give base=, ceiling=, "),
        (every, (3,), "every takes nothing without a name, but got 1 such arguments: give seconds=, minutes=, "),
        (once, (1, 2), "once takes only at without a name, but got 2 such arguments"),
        (Pipeline, ("a", cron("* * * * *")), "Pipeline takes only name without a name, but got 2"),
    ],
)
def test_too_many_arguments_without_a_name(call: Any, args: tuple[Any, ...], said: str) -> None:
    """The error names the options that need their names."""
    assert _refused(call, *args).startswith(said)


@pytest.mark.parametrize(
    ("call", "options", "said"),
    [
        (batchord.SqlSource, {"sql": "SELECT 1"}, "SqlSource needs key=: write SqlSource(…, key=…)"),
        (_OwnStep, {"folder": "/x"}, "_OwnStep needs name=, place=: write _OwnStep(…, name=…, place=…)"),
        (cron, {"time_zone": "UTC"}, "cron needs expression=: write cron(…, expression=…)"),
    ],
)
def test_a_missing_option_is_told_without_pythons_inner_names(call: Any, options: dict[str, Any], said: str) -> None:
    """``__init__`` means nothing to people who declare a pipeline."""
    assert _refused(call, **options) == said


def test_declarations_can_be_copied_and_sent() -> None:
    """These make an object without any arguments."""
    retry = Retry(3)

    assert copy.deepcopy(retry) == pickle.loads(pickle.dumps(retry)) == retry  # noqa: S301 -- our own bytes
    assert replace(retry, times=4) == Retry(4)
