"""The functions of Python and Branch steps: what they may be, and how they are called."""

import inspect
from collections.abc import Callable
from typing import Any

from batchord.core.declared.context import RunContext


def called(function: Callable[..., Any], run: RunContext) -> Any:
    """What the function returns, called with the run if it takes one; raises what it raises."""
    return function(run) if takes_run(function) else function()


def takes_run(function: Callable[..., Any]) -> bool:
    """Whether the function is to be called with the run: it needs one argument, or accepts it as its first."""
    parameters = _parameters(function)
    if parameters is None:
        return True
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each for each in positional if each.default is each.empty]
    variadic = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    return len(needed) == 1 or (not needed and (variadic or any(each.name == "run" for each in positional)))


def function_problems(function: object) -> list[str]:
    """What is wrong with a step's function, one sentence each."""
    if not callable(function):
        return [f"{function!r} cannot be called: give a function of the run"]
    if inspect.iscoroutinefunction(function):
        return ["its function is a coroutine: give a plain function, which may call asyncio.run"]
    needed = [each for each in _parameters(function) or [] if each.default is each.empty]
    if len([each for each in needed if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]) > 1:
        return ["its function needs more than one argument: Batchord calls it with the run or nothing"]
    if keywords := [each.name for each in needed if each.kind is each.KEYWORD_ONLY]:
        return [
            f"Batchord calls its function with the run or nothing: keyword-only {', '.join(keywords)} needs a default"
        ]
    return []


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-ins tell nothing of themselves
        return None
