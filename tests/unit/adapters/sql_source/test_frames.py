"""Rows become frames without losing anything."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
import pytest

from app.adapters.sql_source.frames import frame_of
from app.core.errors import ConfigurationError

BIG = 2**53 + 1
NOON = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)
ELSEWHERE = NOON.astimezone(timezone(timedelta(hours=9)))


def column(*values: Any) -> "pd.Series[Any]":
    """A frame's column with these values."""
    return frame_of(list(enumerate(values)), ["id", "value"], "id")["value"]


@pytest.mark.parametrize(
    ("values", "dtype", "back"),
    [
        ((BIG, 2), "int64", [BIG, 2]),
        ((BIG, None), "Int64", [BIG, pd.NA]),
        ((2**63, 1), "object", [2**63, 1]),
        ((1.5, None), "float64", [1.5, float("nan")]),
        ((True, False), "bool", [True, False]),
        ((True, None), "boolean", [True, pd.NA]),
        (("text", None, ""), "object", ["text", None, ""]),
        ((None, None), "object", [None, None]),
        ((Decimal("0.10"), None), "object", [Decimal("0.10"), None]),
        ((UUID(int=1), None), "object", [UUID(int=1), None]),
        ((b"\x00\xff",), "object", [b"\x00\xff"]),
        ((date(9999, 12, 31),), "object", [date(9999, 12, 31)]),
        (([1, 2], [3, 4]), "object", [[1, 2], [3, 4]]),
        (({"a": [1]}, None), "object", [{"a": [1]}, None]),
        ((1, "mixed"), "object", [1, "mixed"]),
    ],
)
def test_a_column_keeps_its_values(values: tuple[Any, ...], dtype: str, back: list[Any]) -> None:
    """Whole numbers beside a NULL, above all, do not become floats."""
    made = column(*values)
    assert made.dtype == dtype
    for value, expected in zip(made.tolist(), back, strict=True):
        assert type(value) is type(expected)
        assert repr(value) == repr(expected)


def test_instants_are_in_utc_and_exact() -> None:
    """Whatever offset the driver gave, and far beyond what nanoseconds can hold."""
    made = column(NOON, ELSEWHERE, None, datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    assert made.dtype == "datetime64[us, UTC]"
    assert made[0] == made[1] == NOON
    assert made[2] is pd.NaT
    assert made[3].microsecond == 999999
    assert column(NOON.replace(tzinfo=None)).dtype == "datetime64[us]"
    assert column(NOON, NOON.replace(tzinfo=None)).dtype == "object"


@pytest.mark.parametrize("key", [7, "seven", UUID(int=7), Decimal("7.0"), NOON, b"7"])
def test_the_index_holds_keys_as_the_driver_gave_them(key: Any) -> None:
    """A numpy integer or a pandas timestamp would not be the key that the ledger knows."""
    frame = frame_of([(key, "text")], ["id", "body"], "id")
    assert frame.index.name == "id"
    assert list(frame.columns) == ["body"]
    assert type(frame.index[0]) is type(key)
    assert frame.index[0] == key


def test_a_query_of_keys_alone_gives_rows_without_columns() -> None:
    """The number of rows stays."""
    assert frame_of([(1,), (2,)], ["id"], "id").shape == (2, 0)


def test_a_key_that_comes_twice_is_named() -> None:
    """With what to do about it."""
    with pytest.raises(ConfigurationError, match="id=2 more than once: a join multiplies"):
        frame_of([(1, "a"), (2, "b"), (2, "c")], ["id", "body"], "id")
