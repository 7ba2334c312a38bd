"""Answers a call with a wrong option, such as ``Retry(attempts=3)``, by naming the options that there are."""

import functools
import inspect
from collections.abc import Callable, Iterable
from inspect import Parameter
from typing import Any, ParamSpec, Self, TypeVar

from batchord.core.text.similar import meant

P = ParamSpec("P")
T = TypeVar("T")

_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class NamesOptions:
    """The base of all classes that authors call. A wrong option raises a TypeError that names the right ones.

    ``__new__`` gets the arguments before ``__init__`` refuses them. So this also works for subclasses, and an author's
    own subclass needs nothing for it. A metaclass was rejected: a subclass could not have another one. Wrapping
    ``__init__`` was rejected: a dataclass gets its ``__init__`` only after the class is made.
    """

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Checks the call. Raises TypeError."""
        if args or options:  # copying and unpickling call it without any
            _, *parameters = inspect.signature(cls.__init__).parameters.values()
            _check(cls.__name__, parameters, places=len(args), options=options)
        return super().__new__(cls)


def names_options(function: Callable[P, T]) -> Callable[P, T]:
    """A decorator for functions that authors call. It answers wrong options as :class:`NamesOptions` does."""

    @functools.wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> T:
        parameters = inspect.signature(function).parameters.values()
        _check(function.__name__, parameters, places=len(args), options=options)
        return function(*args, **options)

    return checked


def _check(name: str, parameters: Iterable[Parameter], *, places: int, options: Iterable[str]) -> None:
    """Raises TypeError for unknown options, for too many arguments without a name, and for missing ones."""
    parameters = list(parameters)
    kinds = {each.kind for each in parameters}
    named = [each.name for each in parameters if each.kind in _BY_NAME]
    for option in options:
        if option not in named and Parameter.VAR_KEYWORD not in kinds:
            raise TypeError(f"{name} has no option {option!r}: {meant(option, named, listed='its options are')}")
    placed = [each.name for each in parameters if each.kind in _BY_PLACE]
    if places > len(placed) and Parameter.VAR_POSITIONAL not in kinds:
        others = ", ".join(f"{each}=" for each in named if each not in placed)
        most = f"only {', '.join(placed)}" if placed else "nothing"
        raise TypeError(
            f"{name} takes {most} without a name, but got {places} such arguments"
            + (f": give {others} by name" if others else "")
        )
    given = {*placed[:places], *options}
    lacking = [each for each in parameters if each.kind in _BY_NAME and each.name not in given and _is_needed(each)]
    if lacking:
        shown = ", ".join(f"{each.name}=" for each in lacking)
        example = ", ".join(f"{each.name}=…" for each in lacking)
        raise TypeError(f"{name} needs {shown}: write {name}(…, {example})")


def _is_needed(parameter: Parameter) -> bool:
    return parameter.default is Parameter.empty
