"""Cuts a source's frames into batches, for a model whose work grows with the length of a text."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: How many batches are sorted together. With texts from 8 to 256 tokens in batches of 256, 7 % of the computed tokens
#: are padding if each batch is sorted by itself, and 2 % if eight are sorted together.
_TOGETHER = 8
#: The most characters that wait to be sorted: texts may be long.
_MOST_CHARACTERS = 16_000_000


def batches_of_like_length(
    frames: Iterable["pd.DataFrame"], column: str, *, rows: int, costly: int
) -> Iterator["pd.DataFrame"]:
    """The records of ``frames`` in batches of at most ``rows`` with texts of similar length in ``column``.

    Each batch has about the same number of characters; of a text, at most ``costly`` characters count. So batches of
    long texts have fewer records, and no batch takes much longer than the others. The longest texts come first.
    """
    held: list[pd.DataFrame] = []
    lengths: list[int] = []
    characters = 0
    for frame in frames:
        own = [_length(value) for value in frame[column].tolist()] if column in frame.columns else [1] * len(frame)
        held.append(frame)
        lengths += own
        characters += sum(own)
        if len(lengths) >= rows * _TOGETHER or characters >= _MOST_CHARACTERS:
            yield from _sorted(_joined(held), [min(length, costly) for length in lengths], rows)
            held, lengths, characters = [], [], 0
    if held:
        yield from _sorted(_joined(held), [min(length, costly) for length in lengths], rows)


def _joined(frames: list["pd.DataFrame"]) -> "pd.DataFrame":
    """One frame with unchanged keys: by itself, pandas would convert them to other numbers."""
    import pandas as pd

    whole = pd.concat(frames)
    keys = [key for frame in frames for key in frame.index.tolist()]
    whole.index = pd.Index(keys, dtype=object, name=frames[0].index.name)
    return whole


def _sorted(frame: "pd.DataFrame", costs: list[int], rows: int) -> Iterator["pd.DataFrame"]:
    order = sorted(range(len(costs)), key=costs.__getitem__, reverse=True)
    share = sum(costs) / max(1, -(-len(costs) // rows))
    chosen: list[int] = []
    cost = 0
    for place in order:
        chosen.append(place)
        cost += costs[place]
        if cost >= share or len(chosen) == rows:
            yield frame.iloc[chosen]
            chosen, cost = [], 0
    if chosen:
        yield frame.iloc[chosen]


def _length(value: Any) -> int:
    """The characters of a text, at least 1. Other values count as 1: they are rejected before they cost anything."""
    return max(1, len(value)) if isinstance(value, str) else 1
