"""Records, their keys and their positions, and how these travel through JSON and the ledger.

A *key* identifies a record and an *arrival* orders it; together they are its *position*. Both keep the type that the
source's driver gives them, because only the source compares them.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from batchord.core.errors import ConfigurationError
from batchord.core.reasons import Reason

#: The types of keys and arrivals.
Scalar = int | str | float | bytes | Decimal | UUID | datetime | date


class TextKey(str):
    """A key of a type that only the source's database knows, as that database writes it."""

    __slots__ = ("formerly",)

    #: The text that older releases of Batchord stored for this key, if it differs: their rows are still in the ledger.
    formerly: str | None

    def __new__(cls, text: str, *, formerly: str | None = None) -> Self:
        """Creates the key; it drops a ``formerly`` that does not differ."""
        key = super().__new__(cls, text)
        key.formerly = None if formerly == record_key(text) else formerly
        return key


#: How scalars are written that JSON does not have: tag -> (type, to text, from text).
#: The order matters: a datetime is also a date.
_TAGS: dict[str, tuple[type | tuple[()], Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "uuid": (UUID, str, UUID),
    "decimal": (Decimal, str, Decimal),
    "float": (float, float.hex, float.fromhex),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    # Text that PostgreSQL's JSON cannot hold. encode() recognises it by its characters, not by its type.
    "utf8": ((), str, lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass")),
}

#: Characters that PostgreSQL's text cannot hold: NUL and lone surrogates.
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
#: A NUL as JSON writes it. After an escaped backslash, ``u0000`` is ordinary text.
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
#: A moment that Python cannot express, as PostgreSQL writes it. The arrival of a record may be one.
_BEYOND_PYTHON = re.compile(r"-?infinity|.* BC|\d{5,}-.*")
#: The most characters of a key that the ledger stores unchanged. An entry of a PostgreSQL index holds about 2,700
#: bytes, and a character takes up to four.
LONGEST_KEY = 500


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a record stands in arrival order."""

    #: Value of the arrival column; None for a source that is ordered by its key alone.
    arrival: Scalar | None
    key: Scalar

    def to_json(self) -> list[Any]:
        """The position as JSON values, exact for every type in :data:`Scalar`."""
        return [None if self.arrival is None else encode(self.arrival), encode(self.key)]

    @classmethod
    def from_json(cls, value: list[Any]) -> "Position":
        """The inverse of :meth:`to_json`."""
        arrival, key = value
        return cls(arrival=None if arrival is None else decode(arrival), key=decode(key))


def is_beyond_python(arrival: Scalar | None) -> bool:
    """Whether an arrival is the text of a moment that Python cannot express, such as ``infinity``."""
    return isinstance(arrival, str) and _BEYOND_PYTHON.fullmatch(arrival) is not None


def encode(value: Scalar) -> Any:
    """A scalar as a JSON value. Integers and text stay as they are; all others get a tag.

    Raises ConfigurationError for a type that cannot serve as a key or an arrival.
    """
    if isinstance(value, bool):
        raise ConfigurationError("A boolean column cannot be a key or an arrival: choose a column that orders records.")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return {"utf8": value.encode("utf-8", "surrogatepass").hex()} if _NOT_TEXT.search(value) else value
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)  # one instant, one text, whatever the session's time zone
    for tag, (kind, to_text, _) in _TAGS.items():
        if isinstance(value, kind):
            return {tag: to_text(value)}
    raise ConfigurationError(
        f"A column of type {type(value).__name__} cannot be a key or an arrival: "
        "use an integer, text, uuid, numeric, date or timestamp column, or convert it in the source."
    )


def decode(value: Any) -> Scalar:
    """The inverse of :func:`encode`."""
    if isinstance(value, dict):
        ((tag, text),) = value.items()
        decoded: Scalar = _TAGS[tag][2](text)
        return decoded
    scalar: Scalar = value
    return scalar


def record_key(value: Scalar) -> str:
    """The key as the ledger stores it: one text for each key, whatever its type; at most 533 characters."""
    if type(value) is int:  # the common case first: this runs once per record
        return str(value)
    text = _full_text(value)
    # A text that is too long for an index of PostgreSQL becomes its beginning and a digest of the whole text.
    return text if len(text) <= LONGEST_KEY else f"{text[:LONGEST_KEY]}#{_digest(text, size=16)}"


def ledger_texts(keys: Iterable[Scalar]) -> dict[str, Scalar]:
    """Every text under which the ledger may hold one of the keys, with that key."""
    texts = {record_key(key): key for key in keys}
    texts |= {key.formerly: key for key in texts.values() if isinstance(key, TextKey) and key.formerly is not None}
    return texts


def _full_text(value: Scalar) -> str:
    if isinstance(value, str):
        return _text_key(value)
    if isinstance(value, Decimal):  # 1.5 and 1.50 are the same number
        text = format(value, "f")  # normalize() would round to 28 digits
        return text.rstrip("0").rstrip(".") if "." in text else text
    encoded = repr(value) if isinstance(value, float) else encode(value)
    return str(next(iter(encoded.values())) if isinstance(encoded, dict) else encoded)


def _text_key(value: str) -> str:
    stored = storable(value)
    # The digest is needed because another key may look like this key's escaped text.
    return stored if stored == value else f"{stored}#{_digest(value)}"


def _digest(text: str, *, size: int = 4) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def unstorable(value: Any) -> bool:
    """Whether a text in a JSON-like value holds a NUL or a lone surrogate, which PostgreSQL cannot keep."""
    text = json.dumps(value, ensure_ascii=False)
    return _ESCAPED_NUL.search(text) is not None or (not text.isascii() and _NOT_TEXT.search(text) is not None)


def storable(text: str) -> str:
    r"""``text`` with each NUL and lone surrogate written as a visible ``\uXXXX``, which PostgreSQL accepts."""
    if "\x00" not in text and (text.isascii() or not _NOT_TEXT.search(text)):
        return text
    return _NOT_TEXT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A record that cannot be predicted, and why."""

    key: Scalar
    reason: Reason
    #: One sentence for a person.
    detail: str
