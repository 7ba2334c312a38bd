"""Which position is the greatest of the present, among strays of many kinds."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from batchord.core.run.horizon import MOST_STRAYS, Present, greatest_of_the_present
from batchord.core.run.records import Position, Scalar

NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
EARLIER, LATER = SECONDS - 60, int(datetime(2038, 1, 19, tzinfo=UTC).timestamp())
NAN = float("nan")


def present(*values: Scalar, ceiling: int | None = None, many: bool = False) -> Present:
    """The frontier's view of a source that holds these values, in this order."""

    def greatest(limit: Scalar | None) -> Position | None:
        below = values if limit is None else [value for value in values if _at_or_below(value, limit)]
        return Position(arrival=None, key=below[-1]) if below else None

    return greatest_of_the_present(greatest, lambda _limit: many, ceiling=ceiling, now=NOW)


def _at_or_below(value: Scalar, limit: Scalar) -> bool:
    if isinstance(value, Decimal) and not value.is_finite():
        return False
    return value <= limit  # type: ignore[operator, no-any-return]


STRAYS: list[Sequence[Scalar]] = [
    [EARLIER, LATER],
    [EARLIER * 1000, LATER * 1000],
    [EARLIER * 10**6, LATER * 10**6],
    [EARLIER * 10**9, LATER * 10**9],
    [EARLIER * 1000, LATER * 1000, 2**63 - 1],
    [float(EARLIER), float(LATER), float("inf"), NAN],
    [Decimal(EARLIER), Decimal(LATER), Decimal("Infinity"), Decimal("NaN")],
    [7, 2**63 - 1],
    [7, 10**13],
    ["2026-11-28 12:29:00", "2038-01-19 00:00:00"],
    ["2026-11-28T12:29:00.5Z", "2038-01-19T00:00:00Z", "infinity"],
    ["2026-11-28", "2026-11-29"],
    ["20261128122900", "20380119000000"],
    ["20261128", "20380119"],
    [str(EARLIER), str(LATER)],
    ["01KB50ZSYZBV3W5YJ83SV80RDM", "7ZZZZZZZZZ0000000000000000"],
    ["019ac00a-0000-7000-8000-000000000000", "01f35c5b-0000-7000-8000-000000000000", "zzz"],
    [UUID("019ac00a-0000-7000-8000-000000000000"), UUID("01f35c5b-0000-7000-8000-000000000000"), UUID(int=2**128 - 1)],
    [date(2026, 11, 28), date(2038, 1, 19)],
    [NOW - timedelta(minutes=1), NOW + timedelta(days=1)],
]


@pytest.mark.parametrize("values", STRAYS, ids=lambda values: str(values[0]))
def test_a_stray_is_passed_over_and_reported(values: Sequence[Scalar]) -> None:
    """For every type of order: the first value is of the present, the others lie beyond it."""
    found = present(*values)
    assert found.greatest == Position(arrival=None, key=values[0])
    assert found.stray is not None
    assert found.stray.key == str(values[-1])
    assert str(found.stray).startswith(f"The record {values[-1]} has the position")


@pytest.mark.parametrize("values", STRAYS, ids=lambda values: str(values[0]))
def test_an_order_of_the_present_is_left_alone(values: Sequence[Scalar]) -> None:
    """Nothing is held back, and nothing is reported."""
    assert present(values[0]) == Present(greatest=Position(arrival=None, key=values[0]))


@pytest.mark.parametrize("value", ["b", "order-17", "ffffffff-0000-4000-8000-000000000000", 5, -3, 10**11, 0.5])
def test_what_is_no_time_is_left_alone(value: Scalar) -> None:
    """Texts and small numbers rise as their author says."""
    assert present(value).greatest == Position(arrival=None, key=value)


def test_numbers_without_any_of_the_present_are_followed() -> None:
    """They may not be times at all. Once a number of the present comes, they are strays and the frontier goes back."""
    assert present(LATER) == Present(greatest=Position(arrival=None, key=LATER))


def test_texts_of_the_future_alone_have_no_greatest() -> None:
    """They are times, whatever else there is: no frontier yet, and each run looks at all."""
    found = present("2038-01-19 00:00:00")
    assert found.greatest is None
    assert found.stray is not None


def test_many_large_numbers_are_ids() -> None:
    """A snowflake is as large as billionths of a second; more than a few of them are no strays."""
    snowflake = 2_100_000_000_000_000_000
    assert present(snowflake, many=True).greatest == Position(arrival=None, key=snowflake)
    assert MOST_STRAYS == 10_000


def test_many_times_of_the_future_are_strays_all_the_same() -> None:
    """A client with a wrong clock may send many records. Only times are as large as milliseconds since 1970."""
    assert present(EARLIER * 1000, LATER * 1000, many=True).greatest == Position(arrival=None, key=EARLIER * 1000)


def test_a_ceiling_is_what_counts() -> None:
    """A sequence knows its last value: an id above it is not followed, and an id below it is not taken for a time."""
    assert present(41, 999, ceiling=41).greatest == Position(arrival=None, key=41)
    assert present(LATER, ceiling=LATER) == Present(greatest=Position(arrival=None, key=LATER))
