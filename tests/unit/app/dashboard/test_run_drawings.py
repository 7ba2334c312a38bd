"""The drawings of a run: nothing overlaps, nothing of a name becomes markup, all of it can be read as text."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from app.dashboard.pages.gantt import Bar, gantt
from app.dashboard.pages.graph import Node, graph
from app.dashboard.pages.graph_layout import layout
from app.drawing.charts import bars, histogram, parts, spread
from app.drawing.svg import cut

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert('x')</script>&\"quoted\""


def node(name: str, *after: str) -> Node:
    """A node that is done."""
    return Node(name=name, after=after, look="done", note="done", text=f"{name}: done", address=f"/run/1?step={name}")


def bar(worker: str, start: float, end: float, letters: str = "3") -> Bar:
    """An attempt that is done."""
    return Bar(worker=worker, start=start, end=end, look="done", letters=letters, text=f"{letters} done", address="/x")


def parsed(svg: str) -> ET.Element:
    """The drawing, which must be well-formed."""
    return ET.fromstring(svg)  # noqa: S314 -- our own drawing


def texts(svg: str) -> list[str]:
    """All texts of a drawing."""
    return [each.text or "" for each in parsed(svg).iter(f"{SVG}text")]


def test_every_edge_leads_from_left_to_right() -> None:
    """Also one that passes layers, which bends there instead of running through nodes."""
    placed = layout({"a": [], "b": ["a"], "c": ["b"], "d": ["a", "c"], "alone": []})

    assert {name: column for name, (column, _) in placed.places.items()} == {"a": 0, "b": 1, "c": 2, "d": 3, "alone": 0}
    assert all(other[0] == one[0] + 1 for edge in placed.edges for one, other in pairwise(edge))
    assert len(next(edge for edge in placed.edges if len(edge) == 4)) == 4, "a to d has two bends"
    slots = [place for edge in placed.edges for place in edge[1:-1]]
    assert not set(slots) & set(placed.places.values())


def test_fifty_steps_do_not_overlap() -> None:
    """Each has a place of its own, and its label is shorter than its box."""
    steps = [node("start"), *(node(f"branch_{n % 8}_with_a_long_name_{n}", "start" if n < 8 else
             f"branch_{n % 8}_with_a_long_name_{n - 8}") for n in range(49))]  # fmt: skip
    drawn = parsed(graph(steps, text="50 steps"))

    boxes = [each for each in drawn.iter(f"{SVG}rect") if each.get("class") == "node"]
    corners = {(each.get("x"), each.get("y")) for each in boxes}
    assert (len(boxes), len(corners)) == (50, 50)
    assert max(len(each.text or "") for each in drawn.iter(f"{SVG}text")) <= 24
    assert len({each.text for each in drawn.iter(f"{SVG}text") if each.get("class") == "name"}) == 50, "ends differ"


def test_crossing_branches_are_sorted() -> None:
    """A step stands near those before it."""
    placed = layout({"a": [], "b": [], "of_b": ["b"], "of_a": ["a"]})
    assert placed.places["of_a"][1] == placed.places["a"][1]
    assert placed.places["of_b"][1] == placed.places["b"][1]


def test_a_graph_without_steps_is_empty() -> None:
    """A skipped run has none."""
    assert texts(graph([], text="no steps")) == []


def test_attempts_of_a_worker_that_overlap_are_below_each_other() -> None:
    """A worker that was taken for dead may go on."""
    drawn = parsed(gantt([bar("w:1", 0, 10), bar("w:1", 5, 20), bar("w:1", 11, 20)], text="3"))
    heights = [each.get("y") for each in drawn.iter(f"{SVG}rect")]
    assert (len(heights), len(set(heights))) == (3, 2)


def test_a_bar_has_letters_only_where_they_fit() -> None:
    """A short attempt among long ones stays a line that can be pointed at."""
    drawn = gantt([bar("w:1", 0, 1000, "first"), bar("w:1", 1000.1, 1000.2, "second")], text="2")
    assert "first" in texts(drawn)
    assert "second" not in texts(drawn)
    assert "second done" in drawn, "its title and its label"


@pytest.mark.parametrize(
    "drawn",
    [
        graph([node(EVIL), node("b", EVIL)], text=EVIL),
        gantt([bar(EVIL, 0, 1, EVIL)], text=EVIL),
        bars({EVIL: 3}, text=EVIL, unit=EVIL),
        parts([(EVIL, 0.5)], text=EVIL),
    ],
    ids=["graph", "gantt", "bars", "parts"],
)
def test_no_name_becomes_markup(drawn: str) -> None:
    """Names, labels and workers come from elsewhere."""
    names = {re.sub(r"\{.*\}", "", each.tag) for each in parsed(drawn).iter()}
    assert names <= {"svg", "title", "a", "g", "rect", "text", "path", "line"}
    assert parsed(drawn).get("aria-label") == EVIL


def test_the_spread_of_equal_scores_is_a_point() -> None:
    """No division by zero."""
    same = dict.fromkeys(("min", "p5", "p25", "p50", "p75", "p95", "max"), 0.5)
    assert texts(spread(same, text="scores")) == ["0.5", "median 0.5", "0.5"]


def test_a_histogram_tells_each_count() -> None:
    """Bars as high as their counts; what is empty is neither seen nor told."""
    drawn = parsed(histogram([10, 0, 40], least=0.0, greatest=0.75, text="Scores"))
    assert drawn.get("aria-label") == "Scores: 0 to 0.25 10, 0.5 to 0.75 40"
    heights = [float(each.get("height", "")) for each in drawn.iter(f"{SVG}rect")]
    assert heights == [21.0, 0.0, 84.0]
    assert [each.text for each in drawn.iter(f"{SVG}title")][2] == "0.25 to 0.5: 0"


def test_a_long_name_keeps_its_end() -> None:
    """Names often differ there."""
    assert cut("branch_with_a_very_long_name_7", 12) == "branch_…me_7"
    assert cut("short", 12) == "short"
