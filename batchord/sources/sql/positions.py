"""Positions of the rows of a statement that selects them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from batchord.core.run.records import Position, TextKey
from batchord.sources.sql.streams import Rows


def without_repeated(
    parts: Iterable[Rows], key_of: Callable[[str], TextKey] | None, *, alone: bool
) -> Iterator[Sequence[Position]]:
    """The positions of the rows, once for rows with the same key that follow each other: they are one record.

    ``key_of`` turns a text into a key; None: keys are as they were read. ``alone``: whether keys order the records.
    """
    previous = None
    for part in parts:
        keys = [row[-1] for row in part] if key_of is None else [key_of(row[-1]) for row in part]
        if alone:
            positions = [Position(arrival=None, key=key) for key in keys]
        else:
            positions = [Position(arrival=row[0], key=key) for row, key in zip(part, keys, strict=True)]
        if keys[0] == previous or len(set(keys)) < len(keys):
            before = [previous, *keys]
            positions = [each for key, each in zip(before, positions, strict=False) if each.key != key]
        previous = keys[-1]
        if positions:
            yield positions
