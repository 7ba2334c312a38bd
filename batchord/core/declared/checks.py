"""Checks of declarations. One surprising value must not hide the other problems."""

from collections.abc import Callable

from batchord.core.text.error_text import error_text


def problems_of(check: Callable[[], list[str]]) -> list[str]:
    """The problems that ``check`` returns. If it raises, the only problem says so."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 -- a value of the wrong type may raise anything
        return [f"the check failed: {error_text(error)}; look for a value of the wrong type"]


def is_whole(value: object, *, least: int) -> bool:
    """Whether ``value`` is a whole number of at least ``least``. True does not count, although Python takes it as 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def address_problems(url: object, url_env: object) -> list[str]:
    """The problems of a database's ``url=`` and ``url_env=``."""
    problems = [
        f"{option}= is a {type(value).__name__}: give a text"  # not the value, which may hold a password
        for option, value in (("url", url), ("url_env", url_env))
        if value is not None and not isinstance(value, str)
    ]
    if url and url_env:
        problems.append("both url= and url_env= are given: keep one")
    return problems
