"""How declarations are checked: one surprise must not hide what else is wrong."""

from collections.abc import Callable

from batchord.core.text.error_text import error_text


def problems_of(check: Callable[[], list[str]]) -> list[str]:
    """What ``check`` finds; or that it cannot be made, because a value of a wrong type may raise anything."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 -- see above
        return [f"the check failed: {error_text(error)}; look for a value of the wrong type"]


def is_whole(value: object, *, least: int) -> bool:
    """Whether it is a whole number from ``least``; True is none, though Python counts it as 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def address_problems(url: object, url_env: object) -> list[str]:
    """What is wrong with how a database is named."""
    found = [
        f"{option}= is a {type(value).__name__}: give a text"  # not the value, which may hold a password
        for option, value in (("url", url), ("url_env", url_env))
        if value is not None and not isinstance(value, str)
    ]
    if url and url_env:
        found.append("both url= and url_env= are given: keep one")
    return found
