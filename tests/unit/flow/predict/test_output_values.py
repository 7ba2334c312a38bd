"""What a model's values are in the ledger, and which of them no ledger can hold."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.errors import DataError
from batchord.core.reasons import Reason
from batchord.flow.predict.outputs import json_value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.float32(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(1), True),
        (np.array([1, 2]), [1, 2]),
        (np.array([[1.0, float("nan")]]), [[1.0, None]]),
        ([np.float64(1.5), (2, "x")], [1.5, [2, "x"]]),
        ({"a": {1: np.array([True])}}, {"a": {"1": [True]}}),
        (float("inf"), None),
        (float("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(1, 2), "01:02:00"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (pd.Timestamp("2026-01-02", tz="UTC"), "2026-01-02T00:00:00+00:00"),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        ("a\x00b\ud800", r"a\u0000b\ud800"),
        ({"a\x00": "b"}, {r"a\u0000": "b"}),
        (2**70, 2**70),
        (np.str_("x"), "x"),
    ],
)
def test_values_are_stored_as_json_says_them(value: Any, stored: Any) -> None:
    """Numbers as numbers, times and exact decimals as text, what is not a number as nothing."""
    assert json_value(value) == stored


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"x", "bytes-output"),
        (bytearray(b"x"), "bytes-output"),
        (memoryview(b"x"), "bytes-output"),
        ([1, {"a": b"x"}], "bytes-output"),
        (DataError(Reason.NOT_FINITE, "the model says so"), "not-finite"),
        (object(), "not-json"),
        ({1, 2}, "not-json"),
        (1 + 2j, "not-json"),
        (np.complex64(1), "not-json"),
    ],
)
def test_values_without_a_word_in_json_cost_their_record(value: Any, reason: str) -> None:
    """Also deep inside."""
    with pytest.raises(DataError) as raised:
        json_value(value)

    assert raised.value.reason == reason


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON)
def test_whatever_is_stored_is_json_that_postgresql_accepts(value: Any) -> None:
    """No NaN, no NUL, no lone surrogate; and storing it again changes nothing."""
    stored = json_value(value)

    text = json.dumps(stored, allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert "\\u0000" not in text.replace(r"\\u0000", "")
    assert json_value(stored) == stored
