"""The key of a source as a column of its step's table of predictions: its name, and its type in PostgreSQL."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from batchord.core.run.composite_keys import columns_of_key
from batchord.core.run.records import LONGEST_KEY, Scalar, TextKey, record_key

#: Whole numbers, the narrowest type first, each with the number of its bits.
_WHOLE = {"smallint": 16, "integer": 32, "bigint": 64}
_TEXTS = ("text", "character varying")
#: Whole numbers as PostgreSQL writes them.
_WHOLE_TEXT = re.compile(r"0|-?[1-9][0-9]{0,18}")
_BOOLEANS = ("true", "false")
#: The most bytes of a key's columns together. An entry of a PostgreSQL index holds about 2,700.
_MOST_BYTES = 2_500


@dataclass(frozen=True, kw_only=True)
class KeyColumn:
    """The key of a source, or one of its columns."""

    #: The column's name.
    name: str
    #: The name of its type, as PostgreSQL writes it, such as ``bigint``.
    type: str
    #: The columns of a key of several. Then name and type are those of a column for the text that they have together.
    parts: tuple["KeyColumn", ...] = ()


def key_of_columns(parts: Sequence[KeyColumn]) -> KeyColumn:
    """A key of several columns. Its text stands beside them, under a name that none of them has."""
    names = {part.name for part in parts}
    name = next(each for each in ("record_key", "prediction_record_key", "key_text") if each not in names)
    return KeyColumn(name=name, type="text", parts=tuple(parts))


def type_of_keys(keys: Iterable[Scalar]) -> str:
    """The type for keys of a source that names none: that of their kind in Python if it is one, otherwise ``text``."""
    kinds: set[type] = set()
    beyond = False
    for key in keys:
        kinds.add(type(key))
        beyond = beyond or (type(key) is int and not _is_within(key, "bigint"))
    if kinds == {int}:
        return "numeric" if beyond else "bigint"
    return "uuid" if kinds == {UUID} else "text"


def has_one_text(column_type: str) -> bool:
    """Whether each value of the type has one text, by which it is the same key. Others need their text besides."""
    return column_type in _WHOLE or column_type in _TEXTS or column_type == "uuid"


def takes(existing: str, wanted: str) -> bool:
    """Whether a column of the type ``existing`` can hold keys of the type ``wanted`` as the same keys.

    Each key is written as the same text by both types. A text column takes any key. A column of numbers takes those
    that are whole and within its range; the others are rejected one by one.
    """
    if existing == wanted or existing in _TEXTS:
        return True
    if existing in _WHOLE:
        return wanted == "numeric" or (wanted in _WHOLE and _WHOLE[wanted] <= _WHOLE[existing])
    return existing == "numeric" and wanted in _WHOLE


def widens(existing: str, wanted: str) -> bool:
    """Whether ``wanted`` is a wider type for whole numbers, to which the ledger changes the column by itself."""
    return existing in _WHOLE and wanted in _WHOLE and _WHOLE[wanted] > _WHOLE[existing]


def unfitting(keys: Sequence[Scalar], column_type: str) -> set[Scalar]:
    """Those of the keys that a column of this type cannot hold.

    A type whose values only PostgreSQL writes as texts takes the texts that it has written.
    """
    if column_type in _WHOLE:
        # The usual case, at the speed of C.
        if set(map(type, keys)) == {int} and all(_is_within(end(keys), column_type) for end in (min, max)):
            return set()
        return {key for key in keys if not _is_whole(record_key(key), column_type)}
    if column_type == "uuid":
        return {key for key in keys if type(key) is not UUID and not _is_uuid(record_key(key))}
    if column_type in _TEXTS:
        return set()
    return {key for key in keys if type(key) is not TextKey and not (column_type == "numeric" and type(key) is int)}


def unfitting_columns(keys: Sequence[Scalar], types: Sequence[str], *, by_text: bool) -> set[Scalar]:
    """Those of the keys that columns of these types cannot hold.

    ``by_text``: whether a column beside them holds the key's whole text. If not, each column must show its part of it.
    """
    stored = {key: _stored(str(key), len(types), by_text=by_text) for key in keys}
    wrong = {key for key, columns in stored.items() if columns is None}
    for place, kind in enumerate(types):
        # A column of a key has few values, so each is looked at only once.
        values = {columns[place] for columns in stored.values() if columns is not None}
        odd = {value for value in values if not _holds(kind, value, by_text=by_text)}
        if odd:
            wrong |= {key for key, columns in stored.items() if columns is not None and columns[place] in odd}
    return wrong


def stored_columns(keys: Iterable[Scalar], types: Sequence[str], *, by_text: bool) -> list[tuple[str, ...]]:
    """The texts of the columns of those keys that columns of these types can hold, as they hold them."""
    keys = list(keys)
    wrong = unfitting_columns(keys, types, by_text=by_text)
    fitting = [key for key in keys if key not in wrong] if wrong else keys
    return columns_of_fitting(fitting, len(types))


def columns_of_fitting(keys: Iterable[Scalar], count: int) -> list[tuple[str, ...]]:
    """The texts of the columns of keys that fit, as the columns hold them."""
    return [_stored(str(key), count, by_text=True) or () for key in keys]


def _stored(text: str, count: int, *, by_text: bool) -> tuple[str, ...] | None:
    """The texts of the columns, none of them too long for an index; None if the key has other columns, or no room."""
    is_usual = len(text) <= LONGEST_KEY and text.isascii() and "\x00" not in text
    if not by_text and not is_usual and record_key(text) != text:  # its end is only in a digest
        return None
    columns = columns_of_key(text, count)
    if is_usual or columns is None:
        return columns
    stored = tuple(map(record_key, columns))
    return stored if sum(len(each.encode()) for each in stored) <= _MOST_BYTES else None


def _holds(column_type: str, text: str, *, by_text: bool) -> bool:
    if column_type in _WHOLE:
        return _is_whole(text, column_type)
    if column_type == "uuid":
        return _is_uuid(text)
    if column_type == "boolean":
        return text in _BOOLEANS
    # PostgreSQL itself has written texts of other types. Dates beyond Python's are looked up only by the whole text.
    return by_text or column_type != "date" or _is_date(text)


def shows_its_text(column_type: str) -> bool:
    """Whether a column of this type shows its part of a key's text in any session, so that it need not be stored."""
    return has_one_text(column_type) or column_type in ("date", "boolean")


def fitting_texts(texts: Iterable[str], column_type: str) -> list[str]:
    """Those of the ledger's texts for keys by which a row with such a key column can be looked up."""
    if column_type in _WHOLE:
        return [text for text in texts if _is_whole(text, column_type)]
    return list(filter(_is_uuid, texts)) if column_type == "uuid" else list(texts)


def _is_whole(text: str, column_type: str) -> bool:
    return _WHOLE_TEXT.fullmatch(text) is not None and _is_within(int(text), column_type)


def bounds(column_type: str) -> tuple[int, int] | None:
    """The least and the greatest number of a type for whole numbers; None for every other type."""
    if column_type not in _WHOLE:
        return None
    bound: int = 2 ** (_WHOLE[column_type] - 1)
    return -bound, bound - 1


def _is_within(number: Any, column_type: str) -> bool:
    bound = 2 ** (_WHOLE[column_type] - 1)
    is_within: bool = -bound <= number < bound
    return is_within


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
