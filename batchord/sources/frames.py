"""Makes frames of a source's rows, without changing a value."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from batchord.core.declared.source_reader import Fetched
from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection
from batchord.core.text.counts import counted
from batchord.sources.series import ColumnType, misfits, series


def frame_of(rows: Sequence[Sequence[Any]], types: Mapping[str, ColumnType], key: str | tuple[str, ...]) -> Fetched:
    """The rows as a frame. Each row begins with its key; the index, named ``key``, holds the keys unchanged.

    The name of a key of several columns is the tuple of their names.

    ``types``: the types of the other columns, in their order. A record is rejected if its column's type cannot hold a
    value, or if it has several rows.
    """
    import pandas as pd  # imported here: planning reads positions and needs no frames

    keys, *columns = zip(*rows, strict=True) if rows else ((),) * (len(types) + 1)
    if len(set(keys)) < len(keys):
        return _without_repeated(rows, types, key)
    wrong: dict[int, str] = {}
    for (name, column), values in zip(types.items(), columns, strict=True):
        wrong |= misfits(values, name, column)
    if wrong:
        rejections = [Rejection(key=keys[place], reason=Reason.UNFITTING_VALUE, detail=wrong[place]) for place in wrong]
        fitting = [row for place, row in enumerate(rows) if place not in wrong]
        return Fetched(frame_of(fitting, types, key).frame, rejections)
    index = pd.Index(keys, dtype=object, name=key)
    named = zip(types.items(), columns, strict=True)
    return Fetched(pd.DataFrame({name: series(values, own, index) for (name, own), values in named}, index=index), [])


def _without_repeated(
    rows: Sequence[Sequence[Any]], types: Mapping[str, ColumnType], key: str | tuple[str, ...]
) -> Fetched:
    times = Counter(row[0] for row in rows)
    name = key if isinstance(key, str) else ", ".join(key)
    repeated = [
        Rejection(
            key=each,
            reason=Reason.DUPLICATE_KEY,
            detail=f"the source gives {name}={each!s} {counted(count, 'time')}, so the right row is unknown: aggregate "
            "or deduplicate in the source, or name in key= what identifies its rows",
        )
        for each, count in times.items()
        if count > 1
    ]
    frame, misfits = frame_of([row for row in rows if times[row[0]] == 1], types, key)
    return Fetched(frame, repeated + misfits)
