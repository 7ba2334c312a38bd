"""An error names the line of the author's function, wherever the function comes from."""

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest

from batchord.core.code.places import place_of_function
from batchord.core.text.similar import closest


def _plain(frame: Any) -> Any:
    return frame


@functools.wraps(_plain)
def _wrapping(frame: Any) -> Any:
    return _plain(frame)


class _Object:
    def __call__(self, frame: Any) -> Any:
        return frame

    def predict(self, frame: Any) -> Any:
        return frame


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (_plain, "def _plain"),
        (functools.partial(_plain, 1), "def _plain"),
        (_wrapping, "def _plain"),
        (_Object(), "    def __call__"),
        (_Object().predict, "    def predict"),
    ],
    ids=["plain", "partial", "wrapped", "object", "method"],
)
def test_a_functions_place_is_its_first_line(function: Callable[..., Any], line: str) -> None:
    """Below the folder from which Python imports it."""
    file, _, number = str(place_of_function(function)).rpartition(":")

    assert file == "tests/unit/core/code/test_places.py"
    with open(__file__, encoding="utf-8") as text:  # noqa: PTH123 -- one line of it
        assert text.read().splitlines()[int(number) - 1].startswith(line)


@pytest.mark.parametrize(
    "function", [len, math.sin, closest, "text", None], ids=["C", "math", "Batchord", "text", "None"]
)
def test_a_function_of_another_has_no_place(function: object) -> None:
    """Of Python, of a library or of Batchord: the author cannot correct it."""
    assert place_of_function(function) is None
