"""Rows as the driver gives them, made into frames that lose nothing.

pandas' own inference turns whole numbers with a NULL among them into floats, and loses what is beyond 2**53.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app.core.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

_NULL = type(None)
_INT64 = range(-(2**63), 2**63)


def frame_of(rows: Sequence[Sequence[Any]], names: Sequence[str], key: str) -> "pd.DataFrame":
    """The rows as a frame whose index, named ``key``, holds the keys exactly as the driver gave them.

    Columns are int64, float64, bool, ``datetime64[us]`` or, with an offset, ``datetime64[us, UTC]``; Int64 and
    boolean where NULLs are among them; object for all else (text, Decimal, UUID, bytes, date, JSON).
    Raises ConfigurationError when a key comes twice.
    """
    import pandas as pd  # here: a planner reads positions, no frames

    values = dict(zip(names, zip(*rows, strict=True), strict=True))
    keys = values.pop(key)
    if len(set(keys)) < len(keys):
        raise repeated_among(key, keys)
    index = pd.Index(keys, dtype=object, name=key)
    return pd.DataFrame({name: _column(column, index) for name, column in values.items()}, index=index)


def repeated(key: str, value: Any) -> ConfigurationError:
    """The error for a query that gives one key twice."""
    return ConfigurationError(
        f"The source's query gives the key {key}={value!r} more than once: a join multiplies its records. Aggregate "
        "or deduplicate in the source's sql, or name in key= a column that identifies a row of the query."
    )


def repeated_among(key: str, values: Sequence[Any]) -> ConfigurationError:
    """As :func:`repeated`, naming the first of ``values`` that comes twice."""
    return repeated(key, Counter(values).most_common(1)[0][0])


def _column(values: Sequence[Any], index: "pd.Index[Any]") -> "pd.Series[Any]":
    import pandas as pd

    kinds = set(map(type, values))
    nulls = _NULL in kinds
    kinds.discard(_NULL)
    dtype: str = "object"
    if kinds == {int} and all(value is None or _INT64.start <= value < _INT64.stop for value in values):
        dtype = "Int64" if nulls else "int64"
    elif kinds == {float}:
        dtype = "float64"
    elif kinds == {bool}:
        dtype = "boolean" if nulls else "bool"
    elif kinds == {datetime}:
        offsets = {value.tzinfo is not None for value in values if value is not None}
        if offsets == {True}:
            values = [None if value is None else value.astimezone(UTC) for value in values]
            dtype = "datetime64[us, UTC]"
        elif offsets == {False}:
            dtype = "datetime64[us]"
    return pd.Series(list(values), index=index, dtype=dtype)
