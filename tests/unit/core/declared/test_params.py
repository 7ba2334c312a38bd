"""Parameters that no run can keep are refused by name."""

from typing import Any

import pytest

from batchord.core.declared.params import check_params
from batchord.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "Parameter x holds NaN or infinity"),
        ({"deep": [float("-inf")]}, "Parameter x holds NaN or infinity"),
        ("\ud800", "Parameter x holds a NUL character or half of a surrogate pair"),
        (["a\0"], "Parameter x holds a NUL character or half of a surrogate pair"),
        ({"\0": 1}, "Parameter x holds a NUL character"),
        (object(), "Parameter x cannot be written as JSON: Object of type object"),
    ],
)
def test_a_value_that_no_run_can_keep_is_refused(value: Any, said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError) as raised:
        check_params({"good": 1, "x": value})

    assert str(raised.value).startswith(said)


def test_a_name_that_no_run_can_keep_is_shown_in_a_way_that_a_terminal_can() -> None:
    """As the ledger would write it."""
    with pytest.raises(ConfigurationError, match=r"Parameter a\\u0000 holds a NUL"):
        check_params({"a\0": 1})


def test_ordinary_values_are_kept() -> None:
    """JSON of any depth; a text about NUL is a text."""
    check_params({"a": 1.5, "b": None, "c": ["\\u0000", {"d": "ä😀"}]})
