"""Rows as the driver gives them, made into frames that lose nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.adapters.sql_source.dtypes import ColumnType
from app.adapters.sql_source.series import misfits, series
from app.core.errors import ConfigurationError
from app.core.ports import Fetched
from app.core.records import Rejection


def frame_of(rows: Sequence[Sequence[Any]], types: Mapping[str, ColumnType], key: str) -> Fetched:
    """The rows, which begin with their keys, as a frame whose index, named ``key``, holds these as they are.

    ``types``: of the other columns, in their order. A record with a value that its column's type cannot hold is
    rejected. Raises ConfigurationError when a key comes twice.
    """
    import pandas as pd  # here: a planner reads positions, no frames

    keys, *columns = zip(*rows, strict=True) if rows else ((),) * (len(types) + 1)
    if len(set(keys)) < len(keys):
        raise repeated_among(key, keys)
    wrong: dict[int, str] = {}
    for (name, column), values in zip(types.items(), columns, strict=True):
        wrong |= misfits(values, name, column)
    if wrong:
        rejections = [Rejection(key=keys[place], reason="unfitting-value", detail=wrong[place]) for place in wrong]
        fitting = [row for place, row in enumerate(rows) if place not in wrong]
        return Fetched(frame_of(fitting, types, key).frame, rejections)
    index = pd.Index(keys, dtype=object, name=key)
    named = zip(types.items(), columns, strict=True)
    return Fetched(pd.DataFrame({name: series(values, own, index) for (name, own), values in named}, index=index), [])


def repeated(key: str, value: Any) -> ConfigurationError:
    """The error for a query that gives one key twice."""
    return ConfigurationError(
        f"The source's query gives the key {key}={value!r} more than once: a join multiplies its records. Aggregate "
        "or deduplicate in the source's sql, or name in key= a column that identifies a row of the query."
    )


def repeated_among(key: str, values: Sequence[Any]) -> ConfigurationError:
    """As :func:`repeated`, naming the first of ``values`` that comes twice."""
    return repeated(key, Counter(values).most_common(1)[0][0])
