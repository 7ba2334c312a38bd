"""An error whose cause is usually the same is followed by that cause and the way to mend it."""

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from batchord.core.run.failures import Failure
from batchord.core.run.hints import hint_of
from batchord.core.text.error_text import error_text
from batchord.flow.attempt.failure import columns_of

_FRAME = pd.DataFrame(
    {
        "size": [50.0, 60.0],
        "price": pd.Series(["100", "cheap"], dtype="str"),
        "sold": pd.Series(["a", None], dtype="object"),
        "day": pd.to_datetime(["2026-01-01", "2026-01-02"]),
    }
)


def _hint(
    function: Callable[[pd.DataFrame], Any], frame: pd.DataFrame = _FRAME, index: str | None = None
) -> str | None:
    with pytest.raises(Exception) as raised:  # noqa: PT011 -- whatever the libraries of today raise
        function(frame)
    text = "".join(traceback.format_exception(raised.value))
    failure = Failure(error=error_text(raised.value), traceback=text, key="1", columns=columns_of(frame))
    return hint_of(failure, index=index)


@pytest.mark.parametrize(
    "function",
    [
        lambda frame: frame["sise"],
        lambda frame: frame[["sise"]],
        lambda frame: frame[["size", "sise"]],
        lambda frame: frame.sise,
        lambda frame: frame.loc[:, ["sise"]],
        lambda frame: frame.drop(columns="sise"),
    ],
    ids=["one", "list", "some", "attribute", "loc", "drop"],
)
def test_a_column_that_is_not_there_is_answered_with_the_one_that_was_meant(
    function: Callable[[pd.DataFrame], Any],
) -> None:
    """However pandas says it."""
    assert _hint(function) == "The frame has no column 'sise': did you mean 'size'?"


def test_a_column_like_no_other_is_answered_with_those_that_there_are() -> None:
    """A guess would mislead."""
    assert (
        _hint(lambda frame: frame["bedrooms"])
        == "The frame has no column 'bedrooms': its columns are: size, price, sold, day"
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda frame: LinearRegression().fit(frame[["size", "price"]], [1, 2]),
        lambda frame: LinearRegression().fit(frame[["price"]].to_numpy(str), [1, 2]),
        lambda frame: LinearRegression().fit(frame[["sold"]], [1, 2]),
        lambda frame: LinearRegression().fit(frame[["size", "day"]], [1, 2]),
        lambda frame: frame["price"].astype(float),
        lambda frame: pd.to_numeric(frame["price"]),
        lambda frame: frame["price"].map(int),
        lambda frame: frame["price"] * 2.5,
        lambda frame: np.log(frame["price"].to_numpy(object).astype(float)),
    ],
    ids=["text", "texts of numpy", "object", "time", "astype", "to_numeric", "int", "times", "numpy"],
)
def test_a_text_where_a_number_is_needed_is_answered_with_both_ways_to_cast(
    function: Callable[[pd.DataFrame], Any],
) -> None:
    """With the columns that may be the cause, and their types."""
    hint = str(_hint(function))

    assert hint.startswith("Columns of the frame that are no numbers: price (str), sold (object), day (datetime64[")
    assert "CAST(price AS double precision) AS price" in hint
    assert "dtypes={'price': 'float64'}, which rejects the records whose value is no number" in hint


@pytest.mark.parametrize(
    "failure",
    [
        Failure(error="KeyError: 'size'", traceback="site-packages/pandas/core/frame.py", columns={"size": "float64"}),
        Failure(error="KeyError: 'sise'", traceback="site-packages/pandas/core/frame.py"),
        Failure(error="KeyError: 'sise'", traceback="", columns={"size": "float64"}),
        Failure(error="ValueError: too big", traceback="", columns={"price": "str"}),
        Failure(error="ValueError: could not convert string to float: 'x'", traceback="", columns={"size": "float64"}),
    ],
    ids=["a column that is there", "no frame", "a key of a dictionary", "another error", "only numbers"],
)
def test_an_error_that_could_be_anything_has_no_hint(failure: Failure) -> None:
    """A wrong hint costs more than none."""
    assert hint_of(failure) is None


def test_the_key_is_not_missing_but_the_index() -> None:
    """A column that only looks like the key is answered as any other."""
    frame = _FRAME.rename_axis("id")

    key = _hint(lambda frame: frame["id"], frame, index="id")
    other = _hint(lambda frame: frame["ids"], frame, index="id")

    assert key == "The frame has no column 'id', because it is the key: write frame.index."
    assert "its columns are" in (other or "")
