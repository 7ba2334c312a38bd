"""The names of steps that a function surely reads are found in its text; a doubtful one is left out."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import pytest

from batchord import Branch, Python


def _plain(run: Any) -> Any:
    total = run["first"].predicted + run.outputs["second"].predicted
    return {"total": total, "share": [run["third"]["a"]]}


def _positional(context: Any, more: int = 1) -> Any:
    str(f"{context['first']} {more}")
    if context["second"].predicted:
        return "a"
    return context["after a return"]


def _in_a_loop(run: Any) -> None:
    for _ in run["first"].value:
        run["in the body"]
    while run["second"].value:
        break
    run["after a break"]


def _guarded(run: Any) -> Any:
    if "first" in run:
        run["first"]
    with contextlib.suppress(KeyError):
        run["second"]
    return None


def _caught(run: Any) -> Any:
    try:
        return run["first"]
    except KeyError:
        return run["second"]


def _chosen(run: Any) -> Any:
    first = run["first"] if run.pipeline == "a" else run["second"]
    return first and run.get("third"), run.pipeline == "a" and run["fourth"], [run["fifth"] for _ in range(0)]


def _inside(run: Any) -> Any:
    def later() -> Any:
        return run["first"]

    return later, lambda: run["second"]


def _set_again(run: Any) -> Any:
    run = {"first": run}
    return run["first"]


def _computed(run: Any) -> Any:
    name = "first"
    return run[name], run[1:2], run["second"[:3]]


def _stores(run: Any) -> None:
    other = {"first": run}
    other["second"] = other["first"]


@functools.wraps(_plain)
def _wrapping(run: Any) -> Any:
    return _plain(run)


class _Object:
    def method(self, run: Any) -> Any:
        return run["first"]

    def __call__(self, run: Any) -> Any:
        return run["first"]


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (_plain, ("first", "second", "third")),
        (_positional, ("first", "second")),
        (_in_a_loop, ("first", "second")),
        (lambda run: run["first"], ("first",)),
        (_Object().method, ("first",)),
        (_guarded, ()),
        (_caught, ()),
        (_chosen, ()),
        (_inside, ()),
        (_set_again, ()),
        (_computed, ()),
        (_stores, ()),
        (_wrapping, ()),
        (_Object(), ()),
        (functools.partial(_positional, more=2), ()),
        (print, ()),
        (lambda: None, ()),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__) if callable(value) else None,
)
def test_only_what_each_call_reads_is_found(function: Callable[..., Any], names: tuple[str, ...]) -> None:
    """A pipeline that works must never be refused because of a name that this call does not reach."""
    assert Python("report", function).outputs_read == names
    assert Branch("choose", function).outputs_read == names


def test_of_two_lambdas_in_a_line_none_is_read() -> None:
    """The text does not tell which of them it is."""
    first, second = (lambda run: run["a"]), (lambda run: run["b"])

    assert (Python("one", first).outputs_read, Python("two", second).outputs_read) == ((), ())
