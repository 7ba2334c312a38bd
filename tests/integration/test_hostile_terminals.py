"""What is printed past the commands obeys no odd text either: the demo's report, and texts that were made elsewhere."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from app import cli
from app.cli.terminal import Terminal, text
from demo import report as demo_report
from tests.integration.odd_texts import FORGED, ODD, STEERING


def demo() -> str:
    """Its result, with labels of a model."""
    row = {"pipeline": "odd", "model": ODD, "records": 1, "predicted": 1, "rejected": 1, "seconds": 1.0}
    row |= {"records_per_second": 1.0, "labels": {FORGED: 1}, "rejections": {ODD: 1}, "fresh": 1, "fresh_discovered": 1}
    counts = {"records": 1, "missing": 0, "duplicated": 0, "pending": 0}
    results: Any = {"pipelines": [row], "audit": {"odd": counts}, "clean": True, "models": [], "flower": ""}
    console = Terminal(width=180)
    with console.capture() as captured, pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_report, "console", console)
        patch.setitem(demo_report.table.__globals__, "console", console)
        demo_report.print_results(results, seconds=1)
    return captured.get()


def test_the_demos_report_prints_them_as_they_are() -> None:
    """It is printed through the same console."""
    printed = demo()
    assert not STEERING.search(printed), printed
    assert "[/oops]" in re.sub(r"\s+", "", printed)


def test_nothing_is_printed_past_the_terminal() -> None:
    """Whoever makes a console of their own, or reads markup, goes around what is tried above."""
    around = re.compile(r"^(rich\.markup|rich\.console|rich\.print)")
    for file in Path(cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and file.name != "terminal.py":
                assert not around.match(f"{node.module}"), file
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("from_markup", "from_ansi"), file
            if isinstance(node, ast.keyword) and node.arg in ("markup", "emoji"):
                assert isinstance(node.value, ast.Constant), file
                assert node.value.value is False, file


def test_a_text_that_was_made_elsewhere_steers_nothing() -> None:
    """The last check: a text that no earlier code cleaned is cleaned before it is written."""
    from rich.text import Text

    console = Terminal(width=200)
    with console.capture() as captured:
        console.print(Text(ODD))
        console.print(text((ODD, "red")))
        console.print(ODD, markup=True, emoji=True)
    assert not STEERING.search(captured.get())
    assert captured.get().count("[/oops]") == captured.get().count(":smile:") == 3
