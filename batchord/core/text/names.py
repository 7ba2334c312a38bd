"""Names and lists of names that authors write."""

import re
from collections.abc import Iterable
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TRIGGER = re.compile(r"\w[\w .:/@+#-]{0,99}")


def is_name(value: object) -> bool:
    """Whether ``value`` can be the name of a pipeline, a step or a queue."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def is_trigger(value: object) -> bool:
    """Whether ``value`` can name who asked for a run: a few words, with characters of host and user names."""
    return isinstance(value, str) and _TRIGGER.fullmatch(value) is not None


def as_names(value: Any) -> tuple[str, ...]:
    """Names as a tuple. A single text is one name, not its letters. None gives an empty tuple.

    A value that cannot be iterated is kept as it is. A declaration does not raise: its ``problems()`` reports it.
    """
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        return (value,)
    try:
        return tuple(value)
    except Exception:  # noqa: BLE001 -- an author's own iterable may raise anything
        return (value,)  # type: ignore[return-value]  # problems() reports values that are not names
