"""Keys of several columns as one text."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from uuid import UUID

import pytest

from batchord.core.run.composite_keys import CompositeKey, columns_of_key, joined, text_of_values, values_of
from batchord.core.run.key_columns import stored_columns, unfitting_columns

_ODD = ("", ":", "::", "\\", "\\:", ":\\", "a:b", "a\\:b", "12", "\n", "😀")


def test_no_two_keys_have_the_same_text() -> None:
    """Each text gives its columns back."""
    keys = [*product(_ODD, repeat=2), *product(_ODD, repeat=3)]
    assert len({joined(key) for key in keys}) == len(keys)
    assert all(columns_of_key(joined(key), len(key)) == key for key in keys)


@pytest.mark.parametrize("text", ["", "a", "a:b:c", "a\\:b", "a:b\\"])
def test_a_text_of_other_columns_is_no_key(text: str) -> None:
    """A person may have typed it."""
    assert columns_of_key(text, 2) is None


def test_values_of_python_have_the_text_of_the_database() -> None:
    """A person gives them in a notebook."""
    key = text_of_values(
        [
            12,
            date(2026, 5, 1),
            datetime(2026, 5, 1, 8, 30, 0, 500_000, tzinfo=UTC),
            datetime(2026, 5, 1, 8, 30),  # noqa: DTZ001
            Decimal("1.50"),
            2.0,
            True,
            UUID(int=1),
            b"\x00\xff",
            "a:b",
        ]
    )
    assert columns_of_key(key, 10) == (
        "12",
        "2026-05-01",
        "2026-05-01 08:30:00.5+00",
        "2026-05-01 08:30:00",
        "1.5",
        "2",
        "true",
        "00000000-0000-0000-0000-000000000001",
        "\\x00ff",
        "a:b",
    )


def test_a_key_of_a_frame_has_the_values_of_its_source() -> None:
    """One that comes from the ledger has the texts."""
    assert values_of(CompositeKey("12:2026-05-01", values=(12, date(2026, 5, 1))), 2) == (12, date(2026, 5, 1))
    assert values_of("12:2026-05-01", 2) == ("12", "2026-05-01")
    assert values_of("of another kind", 2) == ("of another kind", None)


def test_a_key_that_columns_cannot_hold_is_unfitting() -> None:
    """By its kind, its range or its length."""
    types = ["integer", "text"]
    long = "1:" + "ж" * 600
    keys = ["1:a", "x:a", "9999999999:a", "1", "1:a:b", long, "1:" + "😀" * 400]
    assert unfitting_columns(keys, types, by_text=True) == {"x:a", "9999999999:a", "1", "1:a:b"}
    assert unfitting_columns(keys, types, by_text=False) == {"x:a", "9999999999:a", "1", "1:a:b", long}
    (stored,) = stored_columns([long, "x:a"], types, by_text=True)
    assert stored[1].startswith("ж" * 500 + "#")
    two = joined(["😀" * 400, "😀" * 400])
    assert unfitting_columns([two], ["text", "text"], by_text=True) == {two}
    days = ["infinity:true", "2026-05-01:true", "2026-05-01:yes", "2026-02-30:true"]
    assert stored_columns(days, ["date", "boolean"], by_text=False) == [("2026-05-01", "true")]
