"""The functions of Python and Branch steps: which functions are allowed, and how Batchord calls them."""

import inspect
from collections.abc import Callable
from typing import Any

from batchord.core.declared.checks import not_callable
from batchord.core.declared.context import RunContext
from batchord.steps.run_reads import surely_read


def called(function: Callable[..., Any], run: RunContext) -> Any:
    """What the function returns, called with the run if it takes one; raises what it raises."""
    return function(run) if takes_run(function) else function()


def takes_run(function: Callable[..., Any]) -> bool:
    """Whether Batchord calls the function with the run: it needs one argument, or it accepts ``run`` or ``*args``."""
    parameters = _parameters(function)
    if parameters is None:
        return True
    positional = [param for param in parameters if _is_positional(param)]
    needed = [param for param in positional if param.default is param.empty]
    variadic = any(param.kind is param.VAR_POSITIONAL for param in parameters)
    return len(needed) == 1 or (not needed and (variadic or any(param.name == "run" for param in positional)))


def steps_read(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the steps whose outputs each call of the function reads, as far as its text shows them."""
    if not callable(function) or not takes_run(function):
        return ()
    positional = [param for param in _parameters(function) or [] if _is_positional(param)]
    named = [param for param in positional if param.default is param.empty or param.name == "run"]
    return surely_read(function, named[0].name) if named else ()


def function_problems(function: object) -> list[str]:
    """The problems of a step's function, one sentence each."""
    if not callable(function):
        return [not_callable(function, of="the run")]
    if inspect.iscoroutinefunction(function):
        return ["its function is a coroutine: give a plain function, which may call asyncio.run"]
    needed = [param for param in _parameters(function) or [] if param.default is param.empty]
    if len([param for param in needed if _is_positional(param)]) > 1:
        return ["its function needs more than one argument: Batchord calls it with the run or nothing"]
    if keywords := [param.name for param in needed if param.kind is param.KEYWORD_ONLY]:
        return [
            f"Batchord calls its function with the run or nothing: keyword-only {', '.join(keywords)} needs a default"
        ]
    return []


def _is_positional(param: inspect.Parameter) -> bool:
    return param.kind in (param.POSITIONAL_ONLY, param.POSITIONAL_OR_KEYWORD)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-ins have no signature
        return None
