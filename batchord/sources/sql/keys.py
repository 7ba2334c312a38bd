"""Keys of PostgreSQL's types as the ledger writes them: as the server's own ``::text``.

A person joins predictions by ``record_key = key::text``, and the driver's values do not tell that text: a number's
trailing zeros, the padding of ``char(n)``, jsonb's spaces. So such a key is read as text, and PostgreSQL takes that
text for the key itself when it is compared with the column again.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from batchord.core.run.records import Scalar, TextKey, record_key

#: ``pg_type.oid`` of int8, int2, int4, oid, uuid, text and varchar, whose text as the driver gives them is ``::text``.
_AS_GIVEN = frozenset({20, 21, 23, 26, 2950, 25, 1043})

_BYTES, _FLOAT8, _CHAR, _TIMESTAMP, _TIMESTAMPTZ, _NUMERIC = 17, 701, 1042, 1114, 1184, 1700


def is_read_as_text(key_type: int) -> bool:
    """Whether the server has to say what the text of a key is."""
    return key_type not in _AS_GIVEN


def text_key(key_type: int, width: int | None) -> Callable[[str], TextKey]:
    """What makes a key of a text that the server gave; ``width``: the n of ``char(n)``.

    The key knows the text under which older versions wrote it: in time with a T, a number without trailing zeros.
    """
    old = _old_values(width).get(key_type)

    def key(text: str) -> TextKey:
        try:
            return TextKey(text, formerly=None if old is None else record_key(old(text)))
        except ValueError:  # a moment that Python has not: no older version could read it
            return TextKey(text)

    return key


def _old_values(width: int | None) -> dict[int, Callable[[str], Scalar]]:
    return {
        _BYTES: lambda text: bytes.fromhex(text.removeprefix("\\x")),
        _CHAR: lambda text: text.ljust(width or 0),
        _FLOAT8: float,
        _NUMERIC: Decimal,
        _TIMESTAMP: datetime.fromisoformat,
        _TIMESTAMPTZ: datetime.fromisoformat,
    }
