"""What is piped into a file or another program is neither folded nor shortened."""

import io

import pytest

from app.cli import output
from app.cli.terminal import Terminal

LONG = "x" * 400
VERSION = "sentiment-of-reviews@0123456789abcdef+text-body"


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a program reads."""
    written = io.StringIO()
    monkeypatch.setattr(output, "console", Terminal(width=output.ENDLESS, file=written))
    return written


def test_a_row_is_one_line(piped: io.StringIO) -> None:
    """Whatever its width, and however many lines a text in it has."""
    columns = ("step", "model", "error", ">records")
    output.table("Plan", columns, [("score", VERSION, f"{LONG}\nsecond line", 3)], empty="", least=("error",))

    title, header, row = piped.getvalue().splitlines()

    assert (title.strip(), header.split()) == ("Plan", ["step", "model", "error", "records"])
    assert VERSION in row
    assert LONG in row
    assert "second line" in row


def test_a_title_is_not_folded_to_the_width_of_its_table(piped: io.StringIO) -> None:
    """A narrow table may have a long title."""
    output.table("Windows of a-pipeline-with-a-long-name", ("a",), [("b",)], empty="")

    assert len(piped.getvalue().splitlines()) == 3


def test_only_a_terminal_gets_the_beginning_of_a_long_text(piped: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program reads all of it."""
    assert output.shortened(LONG, 120) == LONG
    monkeypatch.setattr(output, "console", Terminal(width=80, file=piped))
    assert output.shortened(LONG, 120) == f"{LONG[:120]} …"
