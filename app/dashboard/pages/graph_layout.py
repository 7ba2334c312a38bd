"""Places the nodes of a graph in layers, so that every edge leads from left to right and few edges cross."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

#: How often the layers are sorted by their neighbours. More changes little.
_SWEEPS = 6


class Bend(NamedTuple):
    """Where an edge passes a layer."""

    first: str
    last: str
    column: int


#: What has a place: a node, or a bend.
Slot = str | Bend


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the nodes of a graph are, in whole columns and rows of a grid."""

    #: Of each node its column, and its row; halves are possible.
    places: Mapping[str, tuple[int, float]]
    #: Of each edge the places from its beginning to its end: those of its two nodes and of the bends between them.
    edges: Sequence[tuple[tuple[int, float], ...]]
    columns: int
    rows: int


def layout(before: Mapping[str, Sequence[str]]) -> Layout:
    """Places a graph without loops. ``before``: of each node the nodes that it comes after."""
    layer = _layers(before)
    if not layer:
        return Layout(places={}, edges=[], columns=0, rows=0)
    columns: list[list[Slot]] = [[] for _ in range(max(layer.values()) + 1)]
    for name, column in layer.items():
        columns[column].append(name)
    chains = [_chain(first, name, layer) for name, firsts in before.items() for first in firsts if first in layer]
    for chain in chains:
        for slot in chain:
            if isinstance(slot, Bend):
                columns[slot.column].append(slot)
    _sort(columns, chains)
    rows = max(len(column) for column in columns)
    places: dict[Slot, tuple[int, float]] = {
        slot: (number, row + (rows - len(column)) / 2)
        for number, column in enumerate(columns)
        for row, slot in enumerate(column)
    }
    return Layout(
        places={name: places[name] for name in layer},
        edges=[tuple(places[slot] for slot in chain) for chain in chains],
        columns=len(columns),
        rows=rows,
    )


def _layers(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Of each node the number of edges of the longest path to it."""
    layer: dict[str, int] = {}
    left = list(before)
    while left:
        ready = [name for name in left if all(each in layer or each not in before for each in before[name])]
        for name in ready or left:  # a loop cannot be declared; if it could, its nodes would stand side by side
            layer[name] = max((layer[each] + 1 for each in before[name] if each in layer), default=0)
        left = [name for name in left if name not in layer]
    return layer


def _chain(first: str, last: str, layer: Mapping[str, int]) -> list[Slot]:
    return [first, *(Bend(first, last, column) for column in range(layer[first] + 1, layer[last])), last]


def _sort(columns: list[list[Slot]], chains: Sequence[Sequence[Slot]]) -> None:
    """Puts each slot near the mean row of its neighbours, from left to right and back."""
    lefts: dict[Slot, list[Slot]] = {}
    rights: dict[Slot, list[Slot]] = {}
    for chain in chains:
        for one, other in pairwise(chain):
            rights.setdefault(one, []).append(other)
            lefts.setdefault(other, []).append(one)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        neighbours = lefts if forward else rights
        for number in range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1):
            beside = columns[number - 1 if forward else number + 1]
            row = {slot: place - len(beside) / 2 for place, slot in enumerate(beside)}
            own = {slot: place - len(columns[number]) / 2 for place, slot in enumerate(columns[number])}
            wanted = {slot: _mean([row[each] for each in neighbours.get(slot, ())], own[slot]) for slot in own}
            columns[number].sort(key=wanted.__getitem__)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
