"""Texts inside JSON-like values."""

from collections.abc import Callable, Mapping
from typing import Any


def in_every_text(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` with every text in its dicts, lists and tuples changed, at any depth."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {in_every_text(key, change): in_every_text(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [in_every_text(item, change) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value
