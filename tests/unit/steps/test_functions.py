"""Functions as steps: which are called with the run, and what cannot be called."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from batchord import Branch, Python
from batchord.steps.functions import takes_run


def _none() -> None: ...
def _one(run: Any) -> None: ...
def _other_name(context: Any) -> None: ...
def _two(run: Any, more: Any) -> None: ...
def _two_with_default(run: Any, more: int = 1) -> None: ...
def _run_with_default(run: Any = None) -> None: ...
def _option(size: int = 1) -> None: ...
def _anything(*args: Any, **kwargs: Any) -> None: ...
def _keywords(**kwargs: Any) -> None: ...
def _needs_keyword(*, more: int) -> None: ...
def _run_and_needs_keyword(run: Any, *, more: int) -> None: ...
def _keyword_with_default(*, more: int = 1) -> None: ...
def _positional_only(run: Any, /) -> None: ...
async def _coroutine(run: Any) -> None: ...


class _Callable:
    def __call__(self, run: Any) -> None: ...

    def method(self) -> None: ...

    def method_of_run(self, run: Any) -> None: ...

    @classmethod
    def of_class(cls, run: Any) -> None: ...

    @staticmethod
    def static() -> None: ...


class _Made:
    def __init__(self, run: Any) -> None: ...


_FUNCTIONS = [
    (_none, False),
    (_one, True),
    (_other_name, True),
    (_two_with_default, True),
    (_run_with_default, True),
    (_option, False),
    (_anything, True),
    (_keywords, False),
    (_keyword_with_default, False),
    (_positional_only, True),
    (lambda: None, False),
    (lambda run: run, True),
    (lambda _: None, True),
    (lambda run=None: run, True),
    (lambda size=3: size, False),
    (functools.partial(_two, more=1), True),
    (functools.partial(_two, None, None), False),
    (functools.partial(_one, None), False),
    (_Callable(), True),
    (_Callable().method, False),
    (_Callable().method_of_run, True),
    (_Callable.of_class, True),
    (_Callable.static, False),
    (_Callable, False),
    (_Made, True),
    (len, True),
    (print, True),
    (dict, True),
    (str, True),
    (functools.lru_cache(_one), True),
    (functools.wraps(_one)(lambda *_: None), True),
]


@pytest.mark.parametrize(("function", "takes"), _FUNCTIONS, ids=lambda value: getattr(value, "__name__", None))
def test_a_function_is_called_with_the_run_if_it_takes_one(function: Callable[..., Any], *, takes: bool) -> None:
    """That is: it needs one argument, accepts any, or has one called ``run``. Its own options are not filled."""
    assert takes_run(function) is takes
    assert Python("a", function).problems() == []
    assert Branch("a", function).problems() == []


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_two, "its function needs more than one argument: Batchord calls it with the run or nothing"),
        (functools.partial(_two), "its function needs more than one argument"),
        (
            _needs_keyword,
            "Batchord calls its function with the run or nothing: keyword-only more needs a default",
        ),
        (
            _run_and_needs_keyword,
            "Batchord calls its function with the run or nothing: keyword-only more needs",
        ),
        (_coroutine, "its function is a coroutine: give a plain function, which may call asyncio.run"),
        (functools.partial(_coroutine, None), "its function is a coroutine"),
        (asyncio.sleep, "its function is a coroutine"),
        ("features.build", "'features.build' cannot be called: give a function of the run"),
        (None, "None cannot be called: give a function of the run"),
        (7, "7 cannot be called"),
    ],
)
def test_what_cannot_be_called_says_why(function: Any, said: str) -> None:
    """Before anything runs."""
    for step in (Python("a", function), Branch("a", function)):
        (problem,) = step.problems()
        assert problem.startswith(said)
