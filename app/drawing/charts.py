"""Draws bars of counts, the spread of numbers and their histogram, and parts of a whole as SVG."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from .svg import cut, element, picture, titled
from .words import number

#: Sizes in pixels: the column of names, the longest bar, the column of numbers, a row.
_NAMES, _BARS, _NUMBERS, _ROW = 170, 260, 110, 22
_MOST_NAME = 24
#: The width and the height of the spread, and of a part of a whole.
_SPREAD, _SPREAD_HEIGHT = 520, 56
_HISTOGRAM_HEIGHT = 84
_WHOLE, _WHOLE_HEIGHT = 520, 12


def bars(counts: Mapping[str, float], *, text: str, unit: str = "") -> str:
    """A horizontal bar for each name, as long as its count."""
    most = max(counts.values(), default=0) or 1
    rows = []
    for place, (name, count) in enumerate(counts.items()):
        y = place * _ROW
        shown = f"{number(count)}{unit}"
        rows.append(
            element(
                "g",
                titled(f"{name}: {shown}"),
                element("text", escape(cut(name, _MOST_NAME)), x=0, y=y + 15, class_="name"),
                element(
                    "rect", x=_NAMES, y=y + 4, width=round(max(1.0, count / most * _BARS), 1), height=14, rx=2,
                    class_="bar",
                ),
                element("text", escape(shown), x=round(_NAMES + count / most * _BARS + 6, 1), y=y + 15, class_="note"),
            )
        )  # fmt: skip
    return picture(
        rows, width=_NAMES + _BARS + _NUMBERS, height=max(1, len(counts)) * _ROW, text=text, look="bars"
    )  # fmt: skip


def spread(quantiles: Mapping[str, float], *, text: str) -> str:
    """A box from p25 to p75 with the median, a thin one from p5 to p95, and a line from the least to the greatest."""
    least, most = quantiles["min"], quantiles["max"]
    length = most - least

    def at(name: str) -> float:
        return round(8 + (quantiles[name] - least) / length * (_SPREAD - 16), 1) if length else _SPREAD / 2

    def box(first: str, last: str, y: int, height: int, look: str) -> str:
        return element(
            "rect", titled(f"{first} to {last}: {quantiles[first]:.4g} to {quantiles[last]:.4g}"),
            x=at(first), y=y, width=max(1.0, round(at(last) - at(first), 1)), height=height, class_=look,
        )  # fmt: skip

    drawn = [
        element("line", x1=at("min"), x2=at("max"), y1=20, y2=20, class_="whisker"),
        box("p5", "p95", 14, 12, "outer"),
        box("p25", "p75", 8, 24, "bar"),
        element("line", x1=at("p50"), x2=at("p50"), y1=4, y2=36, class_="median"),
        element("text", f"{least:.4g}", x=0, y=52, class_="note"),
        element("text", f"median {quantiles['p50']:.4g}", x=_SPREAD / 2, y=52, class_="note", text_anchor="middle"),
        element("text", f"{most:.4g}", x=_SPREAD, y=52, class_="note", text_anchor="end"),
    ]
    return picture(drawn, width=_SPREAD, height=_SPREAD_HEIGHT, text=text, look="bars")


def histogram(counts: Sequence[int], *, least: float, greatest: float, text: str) -> str:
    """A bar for each range of the same width from ``least`` to ``greatest``, above the same places of a spread."""
    most, width = max(counts) or 1, (_SPREAD - 16) / len(counts)
    ends = [least + (greatest - least) * at / len(counts) for at in range(len(counts) + 1)]
    drawn = []
    for at, count in enumerate(counts):
        height = max(1.0, count / most * _HISTOGRAM_HEIGHT) if count else 0.0
        drawn.append(
            element(
                "rect", titled(f"{ends[at]:.4g} to {ends[at + 1]:.4g}: {number(count)}"),
                x=round(8 + at * width, 1), y=round(_HISTOGRAM_HEIGHT - height, 1), width=round(width - 1, 1),
                height=round(height, 1), class_="bar",
            )
        )  # fmt: skip
    told = ", ".join(
        f"{ends[at]:.3g} to {ends[at + 1]:.3g} {number(count)}" for at, count in enumerate(counts) if count
    )
    return picture(drawn, width=_SPREAD, height=_HISTOGRAM_HEIGHT, text=f"{text}: {told}", look="bars")


def parts(shares: Sequence[tuple[str, float]], *, text: str) -> str:
    """One bar, divided into parts with these looks. Each share is from 0 to 1; what is missing stays empty."""
    drawn = [element("rect", x=0, y=0, width=_WHOLE, height=_WHOLE_HEIGHT, rx=3, class_="empty")]
    x = 0.0
    for look, share in shares:
        width = share * _WHOLE
        drawn.append(
            element("rect", x=round(x, 1), y=0, width=round(width, 1), height=_WHOLE_HEIGHT, rx=3, class_=look)
        )
        x += width
    return picture(drawn, width=_WHOLE, height=_WHOLE_HEIGHT, text=text, look="parts")
