"""Which attempts people ask about, and how many are told at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batchord.reports.attempts import AttemptReport, ranges, troubles

_START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def attempt(number: int = 1, **values: Any) -> AttemptReport:
    """An attempt of two seconds at a shard."""
    usual: dict[str, Any] = {
        "step": "score",
        "shard": 0,
        "attempt": number,
        "worker": "a:1",
        "state": "done",
        "error": None,
        "started_at": _START,
        "finished_at": _START + timedelta(seconds=2),
        "begun_at": None,
    }
    return AttemptReport(**{**usual, **values})


def test_only_equal_attempts_are_one_group() -> None:
    """Of one step, with one end and one error; the step as a whole is no shard."""
    failed = {"state": "failed", "error": "OSError: away"}
    groups = troubles(
        [
            attempt(),
            attempt(shard=1, **failed),
            attempt(2, shard=1, worker="b:2", **failed),
            attempt(shard=2, **{**failed, "error": "OSError: full"}),
            attempt(shard=None, **failed),
            attempt(step="other", **failed),
            attempt(2, shard=7),
        ]
    )

    assert [(group.step, group.shards, group.numbers, group.error) for group in groups] == [
        ("score", "1", "1-2", "OSError: away"),
        ("score", "2", "1", "OSError: full"),
        ("score", "", "1", "OSError: away"),
        ("other", "0", "1", "OSError: away"),
        ("score", "7", "2", None),
    ]
    assert (groups[0].worker, groups[0].seconds, groups[0].started_at) == ("2 workers", 4.0, _START)
    assert groups[1].worker == "a:1"


@pytest.mark.parametrize(
    "error",
    [
        (
            "The model raised for at least 6 of the 10 records of a batch, and no record was rejected. The first is "
            "record {key}: KeyError: 'x'. Correct it."
        ),
        "The model raised for every record of a batch of {key}: KeyError: 'x'. Correct it.",
        "mood@1 failed for record {key}: KeyError: 'x'.",
        "mood@1 failed for 5 records, from {key} to 99: KeyError: 'x'.",
        (
            "The model raised for 6 of 10 records of a batch, last for record {key}: mood@1 failed on 1 record (keys "
            "{key} to {key}): KeyError: 'x'."
        ),
    ],
    ids=["many", "every", "one", "several", "0.2"],
)
def test_errors_that_differ_in_their_records_are_one_group(error: str) -> None:
    """As this release writes them, and as earlier ones left them in the ledger."""
    groups = troubles([attempt(shard=place, state="failed", error=error.format(key=place)) for place in (1, 2)])
    other = troubles(
        [attempt(state="failed", error=error.format(key=1)), attempt(state="failed", error="KeyError: 'x'")]
    )

    assert [group.shards for group in groups] == ["1-2"]
    assert len(other) == 2


def test_a_group_with_an_attempt_under_way_has_no_duration_yet() -> None:
    """Its worker is at it."""
    (group,) = troubles([attempt(2), attempt(2, shard=1, finished_at=None)])

    assert group.seconds is None


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([4], "4"),
        ([3, 1, 2, 7, 1], "1-3, 7"),
        (range(1000), "0-999"),
        (range(0, 40, 2), "0, 2, 4, 6, 8, 10, 12, 14 and 12 more"),
    ],
)
def test_many_numbers_are_short(numbers: list[int], text: str) -> None:
    """As people write them."""
    assert ranges(numbers) == text
