"""The text of an error is reported even where its class fails to give it."""

import pytest

from batchord.core.declared.checks import problems_of
from batchord.core.text.error_text import error_text


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class _NoText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307 -- that is the point


class _Leaves(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def test_an_error_is_its_type_and_its_text() -> None:
    """As a traceback's last line has it."""
    assert error_text(ValueError("too large")) == "ValueError: too large"


@pytest.mark.parametrize(
    ("error", "raised"), [(_Mute(), "RuntimeError"), (_NoText(), "TypeError"), (_Leaves(), "SystemExit")]
)
def test_an_error_that_cannot_say_what_it_is_is_named_all_the_same(error: Exception, raised: str) -> None:
    """Whatever its ``__str__`` does."""
    assert error_text(error) == f"{type(error).__name__} (no text: its str() raises {raised})"


def test_a_check_that_raises_such_an_error_is_a_problem() -> None:
    """One surprise hides nothing else that is wrong."""

    def check() -> list[str]:
        raise _Mute

    (problem,) = problems_of(check)

    assert problem.startswith("the check failed: _Mute")
