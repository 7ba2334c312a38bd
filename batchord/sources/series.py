"""Turns the values of a column into a series of the column's type."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_NULL = type(None)
_INT64 = range(-(2**63), 2**63)
#: Up to this number, a float holds every whole number exactly.
_EXACT = 2**53
#: Types that cannot hold NULL: pandas would write False, or raise.
_WITHOUT_NULL = ("int64", "bool")


@dataclass(frozen=True)
class ColumnType:
    """The type of a frame's column."""

    #: The name of the type in pandas. None: the source does not know it, and the values of a batch determine it.
    dtype: str | None = None
    #: Whether the author asked for the type. Then a number may be rounded.
    asked: bool = False


def misfits(values: Sequence[Any], name: str, column: ColumnType) -> dict[int, str]:
    """The places of values that the type cannot hold unchanged, and why; nearly always empty."""
    if column.asked:
        return _not_as_asked(values, name, str(column.dtype))
    if column.dtype not in (None, "float64", "int64"):
        return {}
    if column.dtype != "float64" and _kinds(values) != {int, _NULL}:
        return {}
    return {
        place: f"column {name} is {value}, a whole number beyond 2**53, which float64 would round: give another "
        f"type in the source, such as dtypes={{{name!r}: 'Int64'}}, or leave the column out"
        for place, value in enumerate(values)
        if type(value) is int and not -_EXACT <= value <= _EXACT
    }


def series(values: Sequence[Any], column: ColumnType, index: "pd.Index[Any]") -> "pd.Series[Any]":
    """A series of ``values``, among which there are no misfits."""
    import numpy as np
    import pandas as pd

    dtype = column.dtype or _suggested(values)
    if not column.asked:
        if dtype in _WITHOUT_NULL and None in values:  # NULL is new since the database was asked
            dtype = "float64" if dtype == "int64" else "object"
        if dtype == "float64":
            return pd.Series(np.array(values, dtype=np.float64), index=index)
        if dtype == "datetime64[us, UTC]":
            values = [None if value is None else value.astimezone(UTC) for value in values]
    try:
        return pd.Series(list(values), index=index, dtype=dtype)
    except UnicodeEncodeError:  # half of a surrogate pair, from SQLite: Arrow holds only characters
        return pd.Series(list(values), index=index, dtype=pd.StringDtype("python", na_value=np.nan))


def _kinds(values: Sequence[Any]) -> set[type]:
    return set(map(type, values))


def _suggested(values: Sequence[Any]) -> str:
    """The type that pandas' ``read_sql`` chooses, but ``object`` for whole numbers beyond 64 bits."""
    kinds = _kinds(values)
    nulls = _NULL in kinds
    kinds.discard(_NULL)
    dtype = "object"
    if kinds == {bool}:
        dtype = "object" if nulls else "bool"
    elif kinds == {int}:
        if all(value is None or _INT64.start <= value < _INT64.stop for value in values):
            dtype = "float64" if nulls else "int64"
    elif kinds and kinds <= {float, Decimal, int}:
        dtype = "float64"
    elif kinds == {datetime}:
        offsets = {value.tzinfo is not None for value in values if value is not None}
        if len(offsets) == 1:
            dtype = "datetime64[us, UTC]" if offsets.pop() else "datetime64[us]"
    elif len(kinds) == 1:
        dtype = {str: "str", timedelta: "timedelta64[us]"}.get(kinds.pop(), "object")
    return dtype


def _not_as_asked(values: Sequence[Any], name: str, dtype: str) -> dict[int, str]:
    import pandas as pd

    if dtype not in _WITHOUT_NULL or None not in values:
        try:
            pd.Series(list(values), dtype=dtype)
        except (TypeError, ValueError, OverflowError):
            pass  # at least one does not fit: try each of them
        else:
            return {}
    reasons = {}
    for place, value in enumerate(values):
        try:
            if value is None and dtype in _WITHOUT_NULL:
                raise TypeError(f"NULL cannot be a {dtype}")  # noqa: TRY301 -- pandas raises it for other values
            pd.Series([value], dtype=dtype)
        except (TypeError, ValueError, OverflowError) as error:
            reasons[place] = f"column {name} cannot be converted to {dtype}, which dtypes= demands: {error}"
    return reasons
