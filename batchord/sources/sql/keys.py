"""Keys of PostgreSQL's types, as the ledger writes them: the server's own ``::text``.

People join predictions by ``record_key = key::text``. The driver's values do not show this text exactly: a number's
trailing zeros, the padding of ``char(n)``, jsonb's spaces. So such a key is read as text. When it is compared with the
column again, PostgreSQL reads the text as the key.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from batchord.core.run.records import Scalar, TextKey, record_key

#: ``pg_type.oid`` of int8, int2, int4, oid, uuid, text and varchar. The text of the driver's value is their ``::text``.
_AS_GIVEN = frozenset({20, 21, 23, 26, 2950, 25, 1043})

_BYTES, _FLOAT8, _CHAR, _TIMESTAMP, _TIMESTAMPTZ, _NUMERIC = 17, 701, 1042, 1114, 1184, 1700


def is_read_as_text(key_type: int) -> bool:
    """Whether only the server knows the text of such a key."""
    return key_type not in _AS_GIVEN


def text_key(key_type: int, width: int | None) -> Callable[[str], TextKey]:
    """A function that turns the server's text into a key; ``width``: the n of ``char(n)``.

    The key also has the text that older versions wrote: a time with a T, a number without trailing zeros.
    """
    old = _old_values(width).get(key_type)

    def key(text: str) -> TextKey:
        try:
            return TextKey(text, formerly=None if old is None else record_key(old(text)))
        except ValueError:  # a moment that Python cannot express: no older version could read it
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
