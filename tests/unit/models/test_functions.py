"""What is particular to functions as models."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from batchord import FunctionModel, Model
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import DataError, ModelContractViolation, ModelError

Load = Callable[[Model], LoadedModel]


def texts(*values: Any) -> pd.DataFrame:
    """Records with these texts."""
    return pd.DataFrame({"body": list(values)}, index=pd.RangeIndex(len(values)))


def _fails(frame: pd.DataFrame) -> pd.DataFrame:
    raise ZeroDivisionError(f"on {len(frame)} rows")


def _rejects(_: pd.DataFrame) -> pd.DataFrame:
    raise DataError("odd", "An error of ours.")


def _labels(frame: pd.DataFrame) -> "pd.Series[Any]":
    return frame["body"].map({"a": True, "b": False})


def _list(frame: pd.DataFrame) -> list[int]:
    return [1] * len(frame)


def _texts_as_scores(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"score": "high"}, index=frame.index)


def _too_few(frame: pd.DataFrame) -> "pd.Series[Any]":
    return frame["body"].head(1)


def test_a_functions_error_names_version_and_records(load: Load) -> None:
    """So that the records can be tried by hand."""
    with pytest.raises(ModelError, match=r"_fails@.* failed for 2 records, from 0 to 1: ZeroDivisionError: on 2 rows"):
        load(FunctionModel(_fails)).predict(texts("a", "b"))
    with pytest.raises(ModelError, match=r"_fails@.* failed for record 0: ZeroDivisionError: on 1 rows"):
        load(FunctionModel(_fails)).predict(texts("a"))
    with pytest.raises(DataError, match="An error of ours"):
        load(FunctionModel(_rejects)).predict(texts("a"))


def test_truth_values_are_labels(load: Load) -> None:
    """True and False are no numbers; a missing label stays missing."""
    output = load(FunctionModel(_labels)).predict(texts("a", "b", "c"))

    assert output["label"].tolist()[:2] == ["True", "False"]
    assert pd.isna(output["label"].iloc[2])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_list, "returned a list"),
        (_texts_as_scores, "not numeric"),
        (_too_few, "returned 1 row for 2 records: return one row for each record"),
    ],
)
def test_other_outputs_break_the_contract(load: Load, function: Callable[[Any], Any], message: str) -> None:
    """A list has no index, and a text is not a score. The error names the line of the function."""
    with pytest.raises(ModelContractViolation, match=message) as raised:
        load(FunctionModel(function)).predict(texts("a", "b"))

    line = function.__code__.co_firstlineno
    assert str(raised.value).endswith(f" See tests/unit/models/test_functions.py:{line}.")
