"""Draws a graph of steps as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from ...drawing.svg import cut, element, picture, titled
from .graph_layout import layout

#: Sizes of a node and of the gaps, in pixels.
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _EDGE = 176, 44, 44, 14, 8
#: The most characters of the two lines of a node. All characters have one width there.
_MOST_NAME, _MOST_NOTE = 20, 24


@dataclass(frozen=True, kw_only=True)
class Node:
    """A step in a drawing."""

    name: str
    after: Sequence[str]
    #: A class of the style sheet: the name of a state.
    look: str
    #: The second line.
    note: str
    #: What it says when somebody points at it, and to a screen reader.
    text: str
    address: str


def graph(nodes: Sequence[Node], *, text: str) -> str:
    """The graph, from left to right. It keeps its size, so the box around it must scroll."""
    placed = layout({node.name: node.after for node in nodes})
    edges = [_edge(points) for points in placed.edges]
    boxes = [_box(node, placed.places[node.name]) for node in nodes]
    width = placed.columns * (_WIDTH + _GAP_X) - _GAP_X + 2 * _EDGE
    height = placed.rows * (_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _EDGE
    return picture([*edges, *boxes], width=max(width, 1), height=max(height, 1), text=text, look="graph")


def _corner(place: tuple[int, float]) -> tuple[float, float]:
    column, row = place
    return _EDGE + column * (_WIDTH + _GAP_X), _EDGE + row * (_HEIGHT + _GAP_Y)


def _edge(points: Sequence[tuple[int, float]]) -> str:
    """A curve that leaves a node on its right and comes into the next on its left. It crosses a bend as a line."""
    path = ""
    for one, other in pairwise(points):
        x, y = _corner(one)
        to_x, to_y = _corner(other)
        x, y, to_y = x + _WIDTH, y + _HEIGHT / 2, to_y + _HEIGHT / 2
        start = f"L{x:g},{y:g}" if path else f"M{x:g},{y:g}"
        middle = (x + to_x) / 2
        path += f"{start}C{middle:g},{y:g} {middle:g},{to_y:g} {to_x:g},{to_y:g}"
    return element("path", d=path, class_="edge")


def _box(node: Node, place: tuple[int, float]) -> str:
    x, y = _corner(place)
    return element(
        "a",
        titled(node.text),
        element("rect", x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=4, class_="node"),
        element("rect", x=x, y=y, width=6, height=_HEIGHT, rx=2, class_=f"state {node.look}"),
        element("text", escape(cut(node.name, _MOST_NAME)), x=x + 14, y=y + 18, class_="name"),
        element("text", escape(cut(node.note, _MOST_NOTE)), x=x + 14, y=y + 35, class_="note"),
        href=node.address,
        aria_label=node.text,
    )
