"""Checks of declarations. One surprising value must not hide the other problems."""

import reprlib
from collections.abc import Callable

from batchord.core.text.error_text import error_text

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def problems_of(check: Callable[[], list[str]]) -> list[str]:
    """The problems that ``check`` returns. If it raises, the only problem says so."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 -- a value of the wrong type may raise anything
        return [f"the check failed: {error_text(error)}; look for a value of the wrong type"]


def shown(value: object) -> str:
    """The value for a sentence about it: short, and without the address in memory that Python shows for functions."""
    if isinstance(value, type) or callable(value):
        return getattr(value, "__name__", None) or f"a {type(value).__name__}"
    return _SHORT.repr(value)


def kind_of(value: object) -> str:
    """What the value is, with its article: ``a list``, ``an int``, ``the class Retry``."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def not_callable(value: object, *, of: str) -> str:
    """The problem of a value that must be a function of ``of``, such as ``the run``, and cannot be called."""
    return f"{shown(value)} cannot be called: give a function of {of}, by its name and without parentheses"


def is_whole(value: object, *, least: int) -> bool:
    """Whether ``value`` is a whole number of at least ``least``. True does not count, although Python takes it as 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def address_problems(url: object, url_env: object) -> list[str]:
    """The problems of a database's ``url=`` and ``url_env=``."""
    problems = [
        f"{option}= is {kind_of(value)}: give a text"  # not the value, which may hold a password
        for option, value in (("url", url), ("url_env", url_env))
        if value is not None and not isinstance(value, str)
    ]
    if url and url_env:
        problems.append("both url= and url_env= are given: keep one")
    return problems
