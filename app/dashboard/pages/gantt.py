"""Draws who worked when as SVG: a row for each worker, a bar for each attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ...drawing.svg import cut, element, picture, titled
from ...drawing.words import duration

#: Sizes in pixels: the column of names, the bars together, a bar, a row's gap, the axis at the top.
_NAMES, _BARS, _BAR, _GAP, _AXIS = 190, 900, 18, 8, 24
#: A bar is never narrower; with its letters it is at least this wide.
_LEAST, _LETTERS = 2.0, 7.0
#: The most characters of a worker's name.
_MOST_NAME = 26
#: Distances of the marks of the axis in seconds, and the most marks.
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400, 604_800)
_MARKS = 9


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One attempt of a worker."""

    worker: str
    #: Seconds since the beginning of the picture.
    start: float
    end: float
    #: A class of the style sheet: the name of a state.
    look: str
    #: Some letters in the bar, if it is wide enough for them.
    letters: str
    text: str
    address: str


def gantt(bars: Sequence[Bar], *, text: str) -> str:
    """The bars in the rows of their workers. Bars of a worker that overlap in time stand below each other."""
    whole = max((bar.end for bar in bars), default=0.0) or 1.0
    rows: dict[str, list[list[Bar]]] = {}
    for bar in sorted(bars, key=lambda each: each.start):
        lanes = rows.setdefault(bar.worker, [])
        free = next((lane for lane in lanes if lane[-1].end <= bar.start + whole / _BARS), None)
        if free is None:
            lanes.append([bar])
        else:
            free.append(bar)
    content, y = [], float(_AXIS)
    for worker, lanes in sorted(rows.items()):
        name = element("text", titled(worker), escape(cut(worker, _MOST_NAME)), x=0, y=y + 13, class_="name")
        content.append(name)
        for lane in lanes:
            content += [_bar(bar, y, whole) for bar in lane]
            y += _BAR + 2
        y += _GAP
    marks = _marks(whole, height=y)
    return picture([*marks, *content], width=_NAMES + _BARS + 40, height=y, text=text, look="gantt")


def _bar(bar: Bar, y: float, whole: float) -> str:
    x = _NAMES + bar.start / whole * _BARS
    width = max(_LEAST, (bar.end - bar.start) / whole * _BARS - 1)
    fits = width >= _LETTERS * len(bar.letters) + 6
    return element(
        "a",
        titled(bar.text),
        element("rect", x=round(x, 1), y=y, width=round(width, 1), height=_BAR, rx=2, class_=bar.look),
        element("text", escape(bar.letters), x=round(x + 4, 1), y=y + 13, class_="letters") if fits else "",
        href=bar.address,
        aria_label=bar.text,
    )


def _marks(whole: float, *, height: float) -> list[str]:
    step = next((each for each in _STEPS if whole / each <= _MARKS), whole / _MARKS)
    marks = []
    for number in range(int(whole / step) + 1):
        x = round(_NAMES + number * step / whole * _BARS, 1)
        label = "0" if not number else duration(number * step)
        marks.append(element("line", x1=x, x2=x, y1=_AXIS - 6, y2=height, class_="mark-of-time"))
        marks.append(element("text", label, x=x + 3, y=12, class_="note"))
    return marks
