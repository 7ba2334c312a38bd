"""A failed attempt is repeated a limited number of times, with random waits, so that not all repeat at once."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchord.core.declared.retries import NO_RETRY, Retry
from batchord.core.errors import CommandFailed

_LENGTHS = st.timedeltas(timedelta(0), timedelta(days=3))


@given(base=_LENGTHS, ceiling=_LENGTHS, attempt=st.integers(1, 10**9))
def test_a_wait_lies_between_half_and_all_of_its_bound(base: timedelta, ceiling: timedelta, attempt: int) -> None:
    """The bound doubles with each attempt, up to the ceiling, after any number of attempts."""
    longest = min(ceiling.total_seconds(), base.total_seconds() * 2 ** min(attempt - 1, 32))

    wait = Retry(3, base=base, ceiling=ceiling).wait(attempt)

    assert longest / 2 <= wait <= longest


def test_waits_double_up_to_the_ceiling() -> None:
    """The defaults in figures: 10 s, 20 s, … 10 minutes, of which half is random."""
    bounds = [10, 20, 40, 80, 160, 320, 600, 600]

    waits = [Retry(8).wait(attempt) for attempt in range(1, 9)]

    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))


def test_steps_that_failed_together_do_not_come_back_together() -> None:
    """A hundred waits are hardly ever the same."""
    assert len({Retry(1).wait(1) for _ in range(100)}) > 90


@given(times=st.integers(0, 50), attempt=st.integers(1, 100))
def test_so_many_attempts_follow_the_first(times: int, attempt: int) -> None:
    """``Retry(3)`` makes four attempts in all."""
    assert Retry(times).allows(ValueError("wrong"), attempt=attempt) == (attempt <= times)


@pytest.mark.parametrize(
    ("errors", "error", "allowed"),
    [
        ((Exception,), ValueError("wrong"), True),
        ((ConnectionError, TimeoutError), ConnectionResetError("by peer"), True),
        ((ConnectionError, TimeoutError), ValueError("wrong"), False),
        ((CommandFailed,), CommandFailed("exit code 1", exit_code=1), True),
        ((Exception,), KeyboardInterrupt(), False),
        ((), ValueError("wrong"), False),
    ],
)
def test_only_errors_that_may_pass_are_tried_again(
    errors: tuple[type[BaseException], ...], error: BaseException, *, allowed: bool
) -> None:
    """Those that are named, and their subclasses."""
    assert Retry(3, errors=errors).allows(error, attempt=1) is allowed


def test_nothing_is_tried_again_unless_it_is_asked_for() -> None:
    """That is the default of a step."""
    assert not NO_RETRY.allows(ValueError("wrong"), attempt=1)
    assert NO_RETRY.problems() == []


@pytest.mark.parametrize(
    "retry",
    [Retry(0), Retry(3), Retry(1, base=timedelta(0), ceiling=timedelta(0)), Retry(2, errors=(TimeoutError, OSError))],
)
def test_an_ordinary_retry_has_no_problems(retry: Retry) -> None:
    """No wait at all may be meant."""
    assert retry.problems() == []


@pytest.mark.parametrize(
    ("times", "options", "said"),
    [
        (-1, {}, "Retry(-1): give a number of attempts, such as Retry(3)"),
        (2.5, {}, "Retry(2.5): give a number of attempts, such as Retry(3)"),
        ("3", {}, "Retry('3'): give a number of attempts, such as Retry(3)"),
        (True, {}, "Retry(True): give a number of attempts, such as Retry(3)"),
        (
            3,
            {"base": timedelta(hours=1)},
            "is longer than ceiling=datetime.timedelta(seconds=600): give a longer ceiling=",
        ),
        (3, {"errors": ()}, "Retry(errors=()): give a tuple of exception classes"),
        (3, {"base": 10}, "Retry(base=10): give a timedelta that is not negative"),
        (3, {"ceiling": timedelta(-1)}, "Retry(ceiling=datetime.timedelta(days=-1)): give a timedelta"),
        (3, {"errors": ValueError}, "Retry(errors=ValueError): give a tuple of exception classes"),
        (3, {"errors": (ValueError, "OSError")}, "give a tuple of exception classes"),
        (3, {"errors": (int,)}, "give a tuple of exception classes"),
    ],
)
def test_a_retry_that_cannot_be_meant_says_why(times: Any, options: dict[str, Any], said: str) -> None:
    """Attempts, waits and errors."""
    (problem,) = Retry(times, **options).problems()

    assert said in problem


def test_all_problems_of_a_retry_are_found_at_once() -> None:
    """An author mends a file once."""
    retry: Any = Retry
    assert len(retry(-1, base=1, ceiling=2, errors=[]).problems()) == 4
