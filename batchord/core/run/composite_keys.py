r"""Keys of several columns: one text for all of them, from which each column's text can be taken again.

The texts of the columns stand in their order with a colon between them: ``12:2026-05-01``. In a column's text, a colon
is written as ``\:`` and a backslash as ``\\``, so that no two keys have the same text. A source makes this text in
its database, which orders records by it; a person types it for ``batchord why``.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, Self

from batchord.core.run.records import Scalar, TextKey, record_key

SEPARATOR = ":"
ESCAPE = "\\"
#: A column's text: anything but separators and escapes, which have an escape before them.
_PART = re.compile(r"(?:[^:\\]|\\.)*", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL = re.compile(r"[:\\]")


class CompositeKey(TextKey):
    """The text of a key of several columns, and the columns' values as the source's driver gives them."""

    __slots__ = ("values",)

    values: tuple[Any, ...]

    def __new__(cls, text: str, *, values: Sequence[Any] = ()) -> Self:
        """Creates the key. No older release wrote another text for it."""
        key = str.__new__(cls, text)
        key.formerly = None
        key.values = tuple(values)
        return key


def joined(texts: Sequence[str]) -> str:
    """The text of a key whose columns have these texts."""
    return SEPARATOR.join(_SPECIAL.sub(lambda match: ESCAPE + match[0], text) for text in texts)


def columns_of_key(text: str, count: int) -> tuple[str, ...] | None:
    """The texts of the ``count`` columns; None if the text is not that of a key of so many columns."""
    if ESCAPE not in text:  # the usual case, at the speed of C
        texts = tuple(text.split(SEPARATOR))
        return texts if len(texts) == count else None
    found: list[str] = []
    start = 0
    while True:
        part = _PART.match(text, start)
        end = start if part is None else part.end()
        found.append(_ESCAPED.sub(r"\1", text[start:end]))
        if end == len(text):
            return tuple(found) if len(found) == count else None
        if text[end] != SEPARATOR:  # an escape at the end, which nothing follows
            return None
        start = end + 1


def values_of(key: Scalar, count: int) -> tuple[Any, ...]:
    """The values of the columns for a person's frame; their texts if the source's values are not at hand."""
    if isinstance(key, CompositeKey) and key.values:
        return key.values
    texts = columns_of_key(str(key), count)
    return (str(key), *[None] * (count - 1)) if texts is None else texts


def text_of_values(values: Sequence[Any]) -> str:
    """The text of a key whose columns have these values in Python, as PostgreSQL writes them."""
    return joined([_text(value) for value in values])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return _time(value.astimezone(UTC).replace(tzinfo=None)) + "+00" if value.tzinfo else _time(value)
    if isinstance(value, time):
        return _time(value)
    if isinstance(value, float):  # 2.0 is written as 2
        return repr(value).removesuffix(".0")
    return f"\\x{value.hex()}" if isinstance(value, bytes) else record_key(value)


def _time(value: datetime | time) -> str:
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return text.rstrip("0") if "." in text else text
