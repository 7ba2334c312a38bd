"""Keys and positions survive JSON, and every key has a text of its own that PostgreSQL can hold."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import Position, Scalar, decode, encode, record_key, storable, unstorable

#: Any character at all, NUL and lone surrogates among them.
_ANY_TEXT = st.text(st.characters())
_ONE_TYPE: list[st.SearchStrategy[Any]] = [
    st.integers(),
    st.text(),
    st.floats(allow_nan=False).map(lambda value: value + 0.0),  # -0.0 equals 0.0
    st.binary(),
    st.uuids(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
]
_SCALARS: st.SearchStrategy[Any] = st.one_of(_ANY_TEXT, st.decimals(allow_nan=False), *_ONE_TYPE)


def _through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(_SCALARS)
def test_a_scalar_comes_back_from_json_as_it_was(value: Scalar) -> None:
    """Same value, same type: a source compares it with its own column again."""
    found = decode(_through_json(encode(value)))

    assert found == value
    assert type(found) is type(value)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 -- made aware
def test_an_aware_datetime_keeps_its_instant_in_utc(value: datetime) -> None:
    """Whatever zone the driver gave it in, summer time and its gaps included."""
    found = decode(_through_json(encode(value)))

    assert isinstance(found, datetime)
    assert found == value.astimezone(UTC)
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 5e-324, 0.1, Decimal("Infinity"), Decimal("1E+400")])
def test_numbers_without_a_decimal_text_of_their_own_survive(value: Scalar) -> None:
    """Infinity is a legal arrival in PostgreSQL; a rounded one would move the frontier."""
    assert decode(_through_json(encode(value))) == value


def test_a_decimal_keeps_its_scale() -> None:
    """1.10 is shown as 1.10."""
    assert str(decode(encode(Decimal("1.10")))) == "1.10"


def test_a_datetime_does_not_become_a_date() -> None:
    """A datetime is a date to Python; midnight must stay a time."""
    midnight = datetime(2026, 1, 1)  # noqa: DTZ001 -- a column without a time zone

    assert encode(midnight) == {"datetime": "2026-01-01T00:00:00"}
    assert encode(date(2026, 1, 1)) == {"date": "2026-01-01"}


@given(st.none() | _SCALARS, _SCALARS)
def test_a_position_comes_back_from_json_as_it_was(arrival: Scalar | None, key: Scalar) -> None:
    """This includes the position of a source that is ordered only by its key."""
    position = Position(arrival=arrival, key=key)

    assert Position.from_json(_through_json(position.to_json())) == position


@pytest.mark.parametrize(
    ("value", "named"),
    [(True, "boolean"), (None, "NoneType"), ([1], "list"), (time(1), "time"), (timedelta(1), "delta")],
)
def test_a_value_that_orders_nothing_is_refused_with_advice(value: Any, named: str) -> None:
    """The message says which type it is and what to use instead."""
    with pytest.raises(ConfigurationError, match=rf"{named}.*(choose|use) ") as refused:
        encode(value)

    assert "column" in str(refused.value)


@pytest.mark.parametrize("value", [True, None])
def test_no_text_is_made_up_for_a_key_that_is_none(value: Any) -> None:
    """'None' or 'True' as a key would hide a mistake in the pipeline."""
    with pytest.raises(ConfigurationError):
        record_key(value)


@pytest.mark.parametrize("strategy", _ONE_TYPE, ids=repr)
@given(data=st.data())
def test_two_keys_of_one_column_never_share_a_text(strategy: st.SearchStrategy[Any], data: st.DataObject) -> None:
    """A shared text would make the second record look predicted."""
    one, other = data.draw(strategy), data.draw(strategy)

    assert (record_key(one) == record_key(other)) == (one == other)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (7, "7"),
        (-(2**70), "-1180591620717411303424"),
        ("a b", "a b"),
        (1.5, "1.5"),
        (float("inf"), "inf"),
        (b"\x00\xff", "00ff"),
        (Decimal("12.50"), "12.5"),
        (Decimal("1E+2"), "100"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    ],
)
def test_a_key_reads_as_a_person_would_write_it(key: Scalar, text: str) -> None:
    """`batchord why NAME KEY` is typed by people."""
    assert record_key(key) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=ZoneInfo("Europe/Berlin"))),
        (Decimal("1.50"), Decimal("1.5")),
        (Decimal(100), Decimal("1E+2")),
        (Decimal(0), Decimal("0.000")),
    ],
)
def test_equal_keys_share_a_text(one: Scalar, other: Scalar) -> None:
    """Another time zone of the session, or another scale of the column, makes no new record."""
    assert record_key(one) == record_key(other)


@pytest.mark.parametrize(("one", "other"), [("1" * 40, "1" * 39 + "2"), (f"{10**30}.5", f"{10**30}.25")])
def test_two_long_decimals_are_two_keys(one: str, other: str) -> None:
    """PostgreSQL's numeric has more digits than Python's decimal context."""
    assert record_key(Decimal(one)) == one
    assert record_key(Decimal(one)) != record_key(Decimal(other))


@pytest.mark.parametrize(("one", "other"), [("é" * 501, "é" * 500 + "e"), (Decimal(10**600), Decimal(10**600 + 1))])
def test_a_key_too_long_for_an_index_is_its_beginning_and_a_digest(one: Scalar, other: Scalar) -> None:
    """An index of PostgreSQL's holds some 2,700 bytes; a character has up to four."""
    assert len(record_key(one)) == 533
    assert record_key(one)[:500] == str(one)[:500]
    assert record_key(one) != record_key(other)
    assert record_key(one) == record_key(one)
    assert record_key("é" * 500) == "é" * 500


@given(_ANY_TEXT, _ANY_TEXT)
@example("a\x00", r"a\u0000")
@example("\ud800", r"\ud800")
def test_two_texts_are_two_keys(one: str, other: str) -> None:
    """Also where one looks as the other does once it is made storable."""
    assert (record_key(one) == record_key(other)) == (one == other)


@given(_ANY_TEXT)
def test_any_text_becomes_one_that_postgresql_can_hold(text: str) -> None:
    """No NUL, and valid UTF-8."""
    found = storable(text)

    assert "\x00" not in found
    found.encode("utf-8")


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_text_that_can_be_held_stays_as_it_is(text: str) -> None:
    """Only what cannot be stored is rewritten."""
    assert storable(text) == text


def test_what_cannot_be_held_stays_visible() -> None:
    """A person sees that a character was there, and which."""
    assert storable("a\x00b\ud800") == r"a\u0000b\ud800"


@given(st.text())
def test_what_is_unstorable_is_what_would_be_written_otherwise(text: str) -> None:
    """In a text, a list, a dict's key or value: where nothing has to be escaped, all of it is kept as it is."""
    for value in (text, [text], {text: 1}, {"a": {"b": text}}):
        assert unstorable(value) == (storable(text) != text)


@pytest.mark.parametrize(
    ("text", "lost"),
    [("\0", True), ("\\\0", True), ("\\\\\0", True), (r"\u0000", False), (r"\\u0000", False), ("\ud83d", True)],
)
def test_a_backslash_of_the_texts_own_makes_no_nul(text: str, *, lost: bool) -> None:
    r"""A text may contain the six characters ``\u0000``."""
    assert unstorable([text]) is lost
