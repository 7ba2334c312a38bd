"""Rows become frames without losing anything."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
import pytest

from batchord.sources.frames import frame_of
from batchord.sources.series import ColumnType

BIG = 2**53 + 1
UNSAID = ColumnType()
NOON = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)
ELSEWHERE = NOON.astimezone(timezone(timedelta(hours=9)))


def column(*values: Any, of: ColumnType = UNSAID) -> "pd.Series[Any]":
    """A frame's column with these values, all of which fit."""
    frame, rejections = frame_of(list(enumerate(values)), {"value": of}, "id")
    assert rejections == []
    return frame["value"]


@pytest.mark.parametrize(
    ("values", "dtype", "back"),
    [
        ((BIG, 2), "int64", [BIG, 2]),
        ((7, None), "float64", [7.0, float("nan")]),
        ((2**63, 1), "object", [2**63, 1]),
        ((1.5, None), "float64", [1.5, float("nan")]),
        ((True, False), "bool", [True, False]),
        ((True, None), "object", [True, None]),
        (("text", None, ""), "str", ["text", float("nan"), ""]),
        (("half \ud83d",), "str", ["half \ud83d"]),
        ((None, None), "object", [None, None]),
        ((Decimal("0.10"), None, 1), "float64", [0.1, float("nan"), 1.0]),
        ((timedelta(hours=1), None), "timedelta64[us]", [pd.Timedelta(hours=1), pd.NaT]),
        ((UUID(int=1), None), "object", [UUID(int=1), None]),
        ((b"\x00\xff",), "object", [b"\x00\xff"]),
        ((date(9999, 12, 31),), "object", [date(9999, 12, 31)]),
        (([1, 2], [3, 4]), "object", [[1, 2], [3, 4]]),
        (({"a": [1]}, None), "object", [{"a": [1]}, None]),
        ((1, "mixed"), "object", [1, "mixed"]),
    ],
)
def test_values_suggest_the_type_that_a_notebook_gives_them(
    values: tuple[Any, ...], dtype: str, back: list[Any]
) -> None:
    """On a database that does not say what type a column has."""
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
    frame, _ = frame_of([(key, "text")], {"body": UNSAID}, "id")
    assert frame.index.name == "id"
    assert list(frame.columns) == ["body"]
    assert type(frame.index[0]) is type(key)
    assert frame.index[0] == key


def test_a_query_of_keys_alone_gives_rows_without_columns() -> None:
    """The number of rows stays."""
    assert frame_of([(1,), (2,)], {}, "id").frame.shape == (2, 0)


@pytest.mark.parametrize(
    ("dtype", "empty"),
    [
        ("float64", [float("nan")]),
        ("str", [float("nan")]),
        ("object", [None]),
        ("datetime64[us]", [pd.NaT]),
        ("datetime64[us, UTC]", [pd.NaT]),
        ("timedelta64[us]", [pd.NaT]),
    ],
)
def test_a_type_holds_whatever_its_company(dtype: str, empty: list[Any]) -> None:
    """Also where all values are NULL, and where there is no record."""
    nothing = column(None, of=ColumnType(dtype))
    assert (nothing.dtype, repr(nothing.tolist())) == (dtype, repr(empty))
    assert column(of=ColumnType(dtype)).dtype == dtype


def test_a_null_that_came_since_the_types_were_read_is_accepted() -> None:
    """Its neighbours are not lost for it."""
    assert column(1, None, of=ColumnType("int64")).dtype == "float64"
    assert column(*(True, None), of=ColumnType("bool")).tolist() == [True, None]


@pytest.mark.parametrize("of", [ColumnType("float64"), ColumnType("int64"), ColumnType()])
def test_a_whole_number_is_never_rounded(of: ColumnType) -> None:
    """Beside a NULL it would be a float: its record is rejected, and the message says what to ask for."""
    rows = [(1, -BIG), (2, None), (3, BIG - 1), (4, -(BIG - 1))]
    frame, (rejection,) = frame_of(rows, {"value": of}, "id")
    assert (frame.index.tolist(), str(frame["value"].dtype)) == ([2, 3, 4], "float64")
    assert (rejection.key, rejection.reason) == (1, "unfitting-value")
    assert f"column value is {-BIG}" in rejection.detail
    assert "dtypes={'value': 'Int64'}" in rejection.detail


@pytest.mark.parametrize(
    ("dtype", "values", "back"),
    [
        ("Int64", (BIG, None), [BIG, pd.NA]),
        ("float64", (BIG, None), [float(BIG), float("nan")]),
        ("str", (BIG, None), [str(BIG), float("nan")]),
        ("object", (Decimal("1.50"), None), [Decimal("1.50"), None]),
        ("boolean", (True, None), [True, pd.NA]),
        ("float32", (1.5, 2), [1.5, 2.0]),
    ],
)
def test_an_author_may_ask_for_another_type(dtype: str, values: tuple[Any, ...], back: list[Any]) -> None:
    """Also for one that rounds."""
    made = column(*values, of=ColumnType(dtype, asked=True))
    assert (str(made.dtype), repr(made.tolist())) == (dtype, repr(back))


@pytest.mark.parametrize(
    ("dtype", "values", "wrong"),
    [
        ("int64", (1, None, 2), 1),
        ("bool", (None, True, False), 0),
        ("Int64", (1, 2, 2.5), 2),
        ("float64", ("1", "one", None), 1),
        ("int64", (2**63, 1, 2), 0),
    ],
)
def test_what_cannot_be_of_the_type_that_was_asked_for_costs_its_record(
    dtype: str, values: tuple[Any, ...], wrong: int
) -> None:
    """The others have that type."""
    frame, (rejection,) = frame_of(list(enumerate(values)), {"value": ColumnType(dtype, asked=True)}, "id")
    assert (rejection.key, rejection.reason) == (wrong, "unfitting-value")
    assert f"column value cannot be converted to {dtype}" in rejection.detail
    assert (len(frame), frame["value"].dtype) == (2, dtype)


def test_a_key_that_comes_twice_is_rejected() -> None:
    """It is rejected once, with advice. That one of its values also does not fit is not reported."""
    rows = [(1, 1), (2, 2**60), (3, None), (2, None)]
    frame, (rejection,) = frame_of(rows, {"value": ColumnType("float64")}, "id")
    assert frame.index.tolist() == [1, 3]
    assert (rejection.key, rejection.reason) == (2, "duplicate-key")
    assert "the source gives id=2 2 times" in rejection.detail
    assert "deduplicate" in rejection.detail
