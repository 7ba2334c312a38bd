"""The text of an error is reported even where its class fails to give it."""

import pickle
import subprocess
import sys

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


def test_a_file_that_needs_a_notebook_says_what_to_do() -> None:
    """As pickle says it for a class or a function of the program that wrote the file."""
    program = "import pickle\ndef clean(): ...\nprint(pickle.dumps(clean).hex())"
    pickled = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    with pytest.raises(AttributeError) as raised:
        pickle.loads(bytes.fromhex(pickled))  # noqa: S301 -- our own

    told = error_text(raised.value)
    assert "move it from the notebook into a module beside your pipelines" in told
    assert "clean was defined in a notebook" in told
    assert "notebook" not in error_text(AttributeError("module 'x' has no attribute 'y'"))
    started_with_m = "Can't get attribute 'clean' on <module 'celery.__main__' from '/x/celery/__main__.py'>"
    assert "clean was defined in a notebook" in error_text(AttributeError(started_with_m))
