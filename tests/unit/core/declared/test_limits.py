"""How many rejections a run bears."""

import pytest

from batchord.core.declared.limits import RejectionLimit


@pytest.mark.parametrize(
    ("discovered", "rejected", "breached"),
    [
        (0, 0, False),
        (2, 1, False),
        (2, 2, False),
        (100, 100, False),
        (101, 101, True),
        (202, 101, False),
        (201, 101, True),
        (1_000_000, 500_000, False),
        (1_000_000, 500_001, True),
    ],
)
def test_by_default_half_of_a_run_and_a_hundred_records_must_be_passed(
    discovered: int, rejected: int, *, breached: bool
) -> None:
    """Both must be passed: a small run may lose everything, and a large run up to half, without an alert."""
    assert RejectionLimit().breached(discovered=discovered, rejected=rejected) is breached


def test_a_limit_of_nothing_bears_no_rejection() -> None:
    """Where every record must be predicted."""
    strict = RejectionLimit(share=0, count=0)

    assert not strict.breached(discovered=1000, rejected=0)
    assert strict.breached(discovered=1000, rejected=1)


def test_a_share_of_all_is_never_passed() -> None:
    """This is how an author switches the limit off."""
    assert not RejectionLimit(share=1, count=0).breached(discovered=10, rejected=10)


@pytest.mark.parametrize("limit", [RejectionLimit(), RejectionLimit(share=0, count=0), RejectionLimit(share=1)])
def test_a_sound_limit_has_no_problems(limit: RejectionLimit) -> None:
    """Both ends of the share are meant."""
    assert limit.problems() == []


def test_a_limit_that_cannot_be_meant_says_all_that_is_wrong() -> None:
    """Share and count at once."""
    assert RejectionLimit(share=50, count=-1).problems() == [
        "rejection_limit: share=50: give a number from 0 to 1",
        "rejection_limit: count=-1 is negative: give a whole number from 0",
    ]
