"""Draws small charts as SVG. Every text in them is escaped; each has a text alternative."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from xml.sax.saxutils import escape, quoteattr


@dataclass(frozen=True, kw_only=True)
class Square:
    """One mark of a strip."""

    #: A class of the style sheet: the name of a state.
    look: str
    #: From 0 to 1, of the strip's height.
    height: float
    #: What it says when somebody points at it, and to a screen reader.
    text: str
    address: str


def attributes(**given: str | float) -> str:
    """Attributes of an element, escaped. A low line stands for a hyphen; ``class_`` is ``class``."""
    return " ".join([f"{_written(name)}={_quoted(value)}" for name, value in given.items()])


def element(name: str, *content: str, **given: str | float) -> str:
    """An SVG element around ``content``, which is SVG already."""
    return f"<{name} {attributes(**given)}>{''.join(content)}</{name}>"


def titled(text: str) -> str:
    """The title of an element: browsers show it on hover, screen readers read it."""
    return f"<title>{escape(text)}</title>"


def cut(text: str, most: int) -> str:
    """The text with at most ``most`` characters, in one line. Its end stays: names often differ there."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    last = most // 3
    return f"{line[: most - last - 1]}…{line[-last:]}"


def picture(content: Iterable[str], *, width: float, height: float, text: str, look: str = "") -> str:
    """A whole picture with its text alternative."""
    return element(
        "svg", titled(text), *content, class_=look, viewBox=f"0 0 {width:g} {height:g}", width=f"{width:g}",
        height=f"{height:g}", role="group", aria_label=text, xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def strip(squares: Sequence[Square], *, text: str, step: float = 8, height: float = 28) -> str:
    """Squares from left to right, each a link."""
    marks = []
    for index, each in enumerate(squares):
        tall = max(4.0, each.height * height)
        mark = element(
            "rect", x=round(index * step, 1), y=round(height - tall, 1), width=step - 2, height=round(tall, 1), rx=1,
            class_=each.look,
        )  # fmt: skip
        marks.append(element("a", titled(each.text), mark, href=each.address, aria_label=each.text))
    return picture(marks, width=max(step, len(squares) * step), height=height, text=text, look="strip")


def line(values: Sequence[float], *, text: str, width: float = 90, height: float = 28) -> str:
    """A line of values from left to right, from zero to the largest of them."""
    if len(values) < 2:  # noqa: PLR2004 -- one point is no line
        return ""
    most = max(values) or 1.0
    points = " ".join(
        f"{index * width / (len(values) - 1):.1f},{height - 2 - value / most * (height - 4):.1f}"
        for index, value in enumerate(values)
    )
    drawn = element("polyline", points=points, fill="none", stroke="currentColor", stroke_width=1.5)
    return picture([drawn], width=width, height=height, text=text, look="line")


@cache
def _written(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _quoted(value: str | float) -> str:
    # A page has thousands of numbers. Nothing in them needs escaping.
    return quoteattr(value) if isinstance(value, str) else f'"{value}"'
