"""Small charts are valid, escaped, and say in words what they show."""

from xml.etree import ElementTree as ET

from app.drawing.svg import Square, line, strip

_SVG = "{http://www.w3.org/2000/svg}"


def _parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 -- our own


def test_a_strip_is_a_row_of_links() -> None:
    """Each says what it stands for, whatever the text is; the lowest can still be pointed at."""
    evil = '"><script>alert(1)</script>'
    squares = [
        Square(look="failed", height=0.0, text=evil, address='/run/"'),
        Square(look="succeeded", height=1.0, text="b", address="/run/b"),
    ]
    drawn = _parsed(strip(squares, text=f"two {evil}"))

    assert drawn.get("aria-label") == f"two {evil}"
    links = drawn.findall(f"{_SVG}a")
    assert [each.get("href") for each in links] == ['/run/"', "/run/b"]
    assert [each.findtext(f"{_SVG}title") for each in links] == [evil, "b"]
    bars = list(drawn.iter(f"{_SVG}rect"))
    assert [each.get("class") for each in bars] == ["failed", "succeeded"]
    assert float(bars[0].get("height", "0")) >= 4
    assert float(bars[0].get("x", "0")) < float(bars[1].get("x", "0"))


def test_a_line_goes_from_zero_to_the_largest() -> None:
    """The text is its alternative."""
    drawn = _parsed(line([0, 5, 10], text="rates", width=90, height=28))
    (drawn_line,) = drawn.findall(f"{_SVG}polyline")
    points = [tuple(map(float, each.split(","))) for each in drawn_line.get("points", "").split()]
    assert points == [(0, 26), (45, 14), (90, 2)]
    assert drawn.get("aria-label") == "rates"


def test_one_value_is_no_line() -> None:
    """Nor is none; and zeros do not divide by zero."""
    assert line([3], text="x") == ""
    assert line([], text="x") == ""
    assert "polyline" in line([0, 0], text="x")
