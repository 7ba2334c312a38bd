"""Names, and lists of names, as authors give them."""

import re
from collections.abc import Iterable
from typing import Any

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TRIGGER = re.compile(r"\w[\w .:/@+#-]{0,99}")


def is_name(value: object) -> bool:
    """Whether a pipeline, a step or a queue may be called so."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def is_trigger(value: object) -> bool:
    """Whether who asked for a run may be called so: a word or a few, with what stands in names of hosts and users."""
    return isinstance(value, str) and _TRIGGER.fullmatch(value) is not None


def as_names(value: Any) -> tuple[str, ...]:
    """Names as a tuple; one name alone is one name, not its letters; None is none.

    What cannot be iterated is kept as it is: a declaration does not raise, its ``problems()`` tell.
    """
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        return (value,)
    try:
        return tuple(value)
    except Exception:  # noqa: BLE001 -- an author's own iterable may raise anything
        return (value,)  # type: ignore[return-value]  # what is no name is found where the names are checked
