"""Values of a model's output as texts for columns with a type."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from batchord.core.errors import DataError
from batchord.core.reasons import Reason
from batchord.core.run.output_types import OutputColumn, output_type
from batchord.flow.predict.outputs import to_batch

_ID = UUID(int=1)
_NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def typed(written: str, value: Any) -> str | DataError | None:
    """The text for one value of a model, or the error with which its record is rejected."""
    kind = output_type(written)
    assert kind is not None
    index = pd.Index([1], dtype=object)
    returned = pd.DataFrame({"label": "x", "out": pd.Series([value], index, object)}, index=index)
    batch = to_batch(returned, returned, [0], [], columns=[OutputColumn(name="out", type=kind)])
    if batch.rejections:
        return DataError(batch.rejections[0].reason, batch.rejections[0].detail)
    return batch.predictions.typed["out"][0]


@pytest.mark.parametrize(
    ("written", "value", "text"),
    [
        ("boolean", True, "t"),
        ("boolean", np.bool_(0), "f"),
        ("smallint", np.int64(-32768), "-32768"),
        ("integer", 3.0, "3"),
        ("bigint", 2**63 - 1, str(2**63 - 1)),
        ("real", 1e-60, "0"),
        ("real", np.float32(0.1), "0.100000001"),
        ("double precision", 5e-324, "5e-324"),
        ("numeric", Decimal("1.50"), "1.50"),
        ("numeric", 0.1, "0.1"),
        ("numeric(5,2)", Decimal("999.994"), "999.99"),
        ("text", "a\0b", "a\\u0000b"),
        ("text", "\ud800", "\\ud800"),
        ("varchar(2)", "ab", "ab"),
        ("date", date(2026, 1, 2), "2026-01-02"),
        ("date", pd.Timestamp("2026-01-02"), "2026-01-02"),
        ("date", "2026-01-02", "2026-01-02"),
        ("time", time(1, 2, 3), "01:02:03"),
        ("timestamp", _NOON.replace(tzinfo=None), "2026-01-02 12:00:00"),
        ("timestamptz", _NOON, "2026-01-02 12:00:00+00:00"),
        ("timestamptz", pd.Timestamp(_NOON), "2026-01-02 12:00:00+00:00"),
        ("timestamptz", "2026-01-02T12:00:00Z", "2026-01-02 12:00:00+00:00"),
        ("interval", timedelta(seconds=-1), "P-1DT86399.000000S"),
        ("uuid", _ID, str(_ID)),
        ("uuid", str(_ID).upper(), str(_ID)),
        ("bytea", b"\x00\xff", "\\x00ff"),
        ("jsonb", {"a": [1, float("nan")]}, '{"a": [1, null]}'),
        ("json", "x", '"x"'),
        ("real[]", np.array([0.5, 1], dtype=np.float32), "{0.5,1}"),
        ("real[]", [0.5, None, np.float64(2)], "{0.5,NULL,2}"),
        ("real[]", [], "{}"),
        ("double precision[]", [0.1, 2], "{0.1, 2.0}"),
        ("bigint[]", np.array([1, 2]), "{1,2}"),
        ("text[]", ['a"b\\', "", None, "NULL"], '{"a\\"b\\\\","",NULL,"NULL"}'),
        ("timestamptz[]", [_NOON], '{"2026-01-02 12:00:00+00:00"}'),
        ("jsonb[]", [{"a": 1}], '{"{\\"a\\": 1}"}'),
        ("vector(2)", [1, 0.25], "[1,0.25]"),
        ("halfvec(2)", np.array([1, 65504.0]), "[1,65504]"),
        *[(written, missing, None) for written in ("real", "text", "real[]", "jsonb", "vector(2)", "timestamptz")
          for missing in (None, float("nan"), pd.NA, pd.NaT)],
    ],
)  # fmt: skip
def test_a_value_becomes_a_text(written: str, value: Any, text: str | None) -> None:
    """PostgreSQL reads it as a value of the type; a missing value is NULL."""
    assert typed(written, value) == text


@pytest.mark.parametrize(
    ("written", "value", "why"),
    [
        ("boolean", 1, "an int is no boolean"),
        ("smallint", 32768, "32768 is beyond the range of smallint"),
        ("integer", 3.5, "3.5 is no whole number"),
        ("integer", True, "True is no whole number"),
        ("integer", float("inf"), "inf is no whole number"),
        pytest.param("bigint", 10**5000, "beyond the range of bigint", id="bigint-long"),
        ("real", 1e39, "1e+39 is beyond the range of real"),
        ("real", float("-inf"), "it is -inf"),
        ("real", "1", "a str is no number"),
        ("double precision", 10**400, "beyond the range of double precision"),
        ("numeric", Decimal("NaN"), "it is NaN"),
        pytest.param("numeric", 10**5000, "too long", id="numeric-long"),
        ("numeric", Decimal("1E+200000"), "beyond the range of numeric"),
        ("numeric(5,2)", Decimal("999.995"), "more than 3 digits before the point"),
        ("numeric(2,2)", 1, "more than 0 digits before the point"),
        ("text", 5, "an int is no text"),
        ("varchar(2)", "abc", "the text has 3 characters, more than 2"),
        ("date", _NOON, "is no date"),
        ("date", "soon", "soon is no date"),
        ("time", time(1, tzinfo=UTC), "has a time zone"),
        ("timestamp", _NOON, "has a time zone: declare timestamptz"),
        ("timestamptz", _NOON.replace(tzinfo=None), "has no time zone"),
        ("timestamptz", 5, "5 is no date with a time"),
        ("interval", 5, "5 is no timedelta"),
        ("uuid", "x", "x is no uuid"),
        ("bytea", "x", "a str is no bytes"),
        ("real[]", [1.0, float("nan")], "the list holds nan"),
        ("real[]", [None, float("nan")], "the list holds nan"),
        ("real[]", np.array([np.inf, 1]), "the list holds inf"),
        ("real[]", [1e39], "beyond the range of real"),
        ("real[]", [[1.0]], "a list is no number"),
        ("real[]", np.ones((2, 2)), "2 dimensions, not 1"),
        ("real[]", "abc", "a value of the type str is no list"),
        ("real[]", {1.0}, "a value of the type set is no list"),
        ("real[]", 1.0, "a value of the type float is no list"),
        ("bigint[]", [1, "2"], "2 is no whole number"),
        ("text[]", ["a", float("nan")], "the list holds nan"),
        ("vector(3)", [1.0], "the vector has 1 number, not 3"),
        ("vector(1)", [None], "None is no number"),
        ("vector(1)", [float("nan")], "the list holds nan"),
        ("halfvec(1)", [65536.0], "beyond the range of halfvec"),
    ],
)
def test_a_value_that_does_not_fit_says_why(written: str, value: Any, why: str) -> None:
    """Its record is rejected, and no other one."""
    error = typed(written, value)
    assert isinstance(error, DataError)
    assert error.reason is Reason.UNFITTING_OUTPUT
    assert why in str(error)
    assert str(error).startswith("column out (")


@pytest.mark.parametrize(
    ("written", "value", "reason"),
    [
        ("jsonb", b"x", Reason.BYTES_OUTPUT),
        ("jsonb", {1}, Reason.NOT_JSON),
        ("text", DataError(Reason.TOO_LARGE, "mine"), Reason.TOO_LARGE),
        ("real[]", DataError(Reason.TOO_LARGE, "mine"), Reason.TOO_LARGE),
    ],
)
def test_other_reasons_stay(written: str, value: Any, reason: Reason) -> None:
    """What JSON cannot hold, and what the model itself rejects."""
    error = typed(written, value)
    assert isinstance(error, DataError)
    assert error.reason is reason


def test_a_typed_column_alone_is_an_answer() -> None:
    """A record whose columns are all missing has none, nor one with a list of JSON that holds NaN."""
    index = pd.Index([1, 2, 3], dtype=object)
    kinds = {"vector": "real[]", "items": "jsonb"}
    columns = [OutputColumn(name=name, type=output_type(kind)) for name, kind in kinds.items()]  # type: ignore[arg-type]
    lists = pd.Series([[1.0], None, [1.0]], index, object)
    returned = pd.DataFrame({"vector": lists, "items": [None, None, [float("nan")]]}, index=index)

    batch = to_batch(returned, returned, [0, 0, 0], [], columns=columns)

    assert batch.predictions.keys == [1]
    assert batch.predictions.typed == {"vector": ["{1}"], "items": [None]}
    assert batch.predictions.outputs == [None]
    assert [each.reason for each in batch.rejections] == [Reason.NO_OUTPUT, Reason.NOT_FINITE]
