"""Texts within JSON-like values."""

from collections.abc import Callable, Mapping
from typing import Any


def in_every_text(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` as it is, with every text in its dicts, lists and tuples changed, however deep it lies."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {in_every_text(key, change): in_every_text(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple):
        items = [in_every_text(each, change) for each in value]
        return items if isinstance(value, list) else tuple(items)
    return value
