"""Which keys a column of a table of predictions can hold."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from batchord.core.run.key_columns import fitting_texts, takes, type_of_keys, unfitting, widens
from batchord.core.run.records import TextKey

_ID = UUID("a0000000-0000-4000-8000-00000000000a")


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ([1, -5], "bigint"),
        ([1, 2**63], "numeric"),
        ([_ID], "uuid"),
        (["a"], "text"),
        ([1, "a"], "text"),
        ([1.5], "text"),
        ([], "text"),
    ],
    ids=["whole", "beyond 64 bits", "uuid", "text", "mixed", "float", "none"],
)
def test_keys_show_their_type(keys: list[Any], kind: str) -> None:
    """If the source does not say it."""
    assert type_of_keys(keys) == kind


@pytest.mark.parametrize(
    ("kind", "keys", "wrong"),
    [
        ("bigint", [1, -(2**63), 2**63 - 1], []),
        ("bigint", [1, 2**63], [2**63]),
        ("smallint", [32_767, 32_768, -32_768], [32_768]),
        ("integer", [TextKey("7"), "-7", "07", "+7", "7.0", "x", Decimal(7)], ["07", "+7", "7.0", "x"]),
        ("uuid", [_ID, str(_ID), str(_ID).upper(), "x"], [str(_ID).upper(), "x"]),
        ("text", [1, "x", _ID, "\x00"], []),
        ("numeric", [1, 2**70, TextKey("1.50"), "x"], ["x"]),
        ("date", [TextKey("2026-01-01"), "2026-01-01"], ["2026-01-01"]),
        ("bigint", [], []),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} keys",
)
def test_keys_that_do_not_fit_are_found(kind: str, keys: list[Any], wrong: list[Any]) -> None:
    """A text that PostgreSQL would read as the same number, but that is another key, does not fit."""
    found = unfitting(keys, kind)
    assert found == set(wrong)
    assert all(type(each) is not TextKey for each in found)


def test_rows_are_looked_up_by_texts_that_they_may_have() -> None:
    """PostgreSQL would refuse the others."""
    texts = ["7", "07", str(2**70), "x", str(_ID)]
    assert fitting_texts(texts, "bigint") == ["7"]
    assert fitting_texts(texts, "uuid") == [str(_ID)]
    assert fitting_texts(texts, "text") == texts


def test_columns_take_what_they_can_hold() -> None:
    """The same, what is narrower, and anything as text."""
    assert takes("bigint", "integer")
    assert takes("text", "bigint")
    assert takes("character varying", "date")
    assert takes("bigint", "numeric")
    assert takes("numeric", "bigint")
    assert not takes("integer", "bigint")
    assert not takes("bigint", "text")
    assert not takes("date", "timestamp with time zone")
    assert widens("integer", "bigint")
    assert not widens("bigint", "integer")
    assert not widens("numeric", "bigint")
