"""A traceback begins at the author's first line, whatever wraps the error."""

import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord.catalog import Catalog
from batchord.core.code.places import shown_path
from batchord.core.code.traces import trace_of
from batchord.core.errors import BatchordError, ConfigurationError, ModelError, UnknownPipeline

HERE = "tests/unit/core/code/test_traces.py"


def _raised(function: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as raised:  # noqa: PT011 -- of any kind
        function()
    return raised.value


def _breaks() -> None:
    int("x")


def test_it_begins_at_the_authors_first_line_and_names_the_innermost() -> None:
    """Libraries between and below stay: they show what was done with the author's values."""
    trace = trace_of(_raised(lambda: sorted([1], key=lambda _: _breaks())))

    assert (trace.file, trace.line) == (HERE, _breaks.__code__.co_firstlineno + 1)
    assert trace.text.startswith(f'Traceback (most recent call last):\n  File "{__file__}"')
    assert trace.text.endswith("ValueError: invalid literal for int() with base 10: 'x'")


def test_the_working_directory_counts_as_a_place_of_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python writes it as an empty text, for `python -c` and in notebooks."""
    monkeypatch.chdir(Path(__file__).parent)
    monkeypatch.setattr("sys.path", ["", "/usr/lib/python3"])
    assert shown_path(__file__) == "test_traces.py"
    assert shown_path("/elsewhere/reviews.py") == "/elsewhere/reviews.py"


def test_what_a_library_raised_and_caught_is_left_out() -> None:
    """Pandas looks for a column in three ways; the author wrote one line."""
    trace = trace_of(_raised(lambda: pd.DataFrame({"a": [1]})["price"]))

    assert isinstance(trace.error.__cause__, KeyError)
    assert "direct cause" not in trace.text
    assert trace.text.count("Traceback") == 1
    assert trace.text.splitlines()[1].startswith(f'  File "{__file__}"')


def test_the_error_inside_batchords_own_is_the_authors() -> None:
    """However often it is wrapped."""
    inner = _raised(_breaks)
    outer = ModelError("it failed")
    outer.__cause__ = ConfigurationError("wrapped")
    outer.__cause__.__cause__ = inner

    assert trace_of(outer).error is inner


def test_an_error_of_batchords_that_the_author_raises_is_the_authors() -> None:
    """With the author's own line, although it has a cause."""

    def refuse() -> None:
        try:
            _breaks()
        except ValueError as error:
            raise ModelError("no weights") from error

    trace = trace_of(_raised(refuse))

    assert isinstance(trace.error, BatchordError)
    assert (trace.file, trace.is_authors) == (HERE, True)
    assert "direct cause" in trace.text


def test_batchords_own_error_has_no_author(tmp_path: Path) -> None:
    """It explains itself."""
    raised: list[BaseException] = []
    try:
        Catalog(tmp_path).get("reviews")
    except UnknownPipeline as error:
        raised.append(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))

    assert not trace_of(raised[0]).is_authors


def test_a_cell_of_a_notebook_is_the_authors() -> None:
    """It has no file; IPython keeps its text where tracebacks look for it."""
    cell, name = "def broken():\n    raise ValueError('in the cell')\n", "<ipython-input-7-abc>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(cell, name, "exec"), scope)  # noqa: S102 -- as a notebook does

    error = _raised(scope["broken"])
    while error.__traceback__ is not None and error.__traceback__.tb_frame.f_code.co_filename != name:
        error = error.with_traceback(error.__traceback__.tb_next)
    trace = trace_of(error)

    assert (trace.file, trace.line) == (name, 2)
    assert "raise ValueError('in the cell')" in trace.text
