"""Which errors say that a process lacks memory or threads."""

import errno
import gc
import weakref

import numpy as np
import pytest

from batchord.core.process import exhaustion
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion


class _Foreign(Exception):
    """As a library written in C++ has it."""


class _Mute(RuntimeError):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "says_so"),
    [
        (MemoryError(), True),
        (np.exceptions.AxisError("axis 1 is out of bounds"), False),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("the shop is out of memory cards"), False),
        (_Foreign("std::bad_alloc"), True),
        (_Mute(), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_says_so(error: BaseException, says_so: bool) -> None:  # noqa: FBT001 -- a table's column
    """By its type, by its number, or, where it has neither, by its words."""
    assert is_exhaustion(error) is says_so


def test_numpys_own_is_one() -> None:
    """It says what was asked for."""
    with pytest.raises(MemoryError) as caught:
        np.empty(2**60, dtype=np.uint8)
    assert is_exhaustion(caught.value)


def test_an_error_that_was_raised_for_one_is_one() -> None:
    """A library that words it anew hides nothing; one that was dealt with before is none."""
    with pytest.raises(ValueError, match="cannot load") as caught:
        _wrap()
    assert is_exhaustion(caught.value)
    try:
        raise MemoryError  # noqa: TRY301 -- dealt with
    except MemoryError:
        unrelated = ValueError("later")
    assert not is_exhaustion(unrelated)


def _wrap() -> None:
    try:
        raise MemoryError  # noqa: TRY301 -- what the library meets
    except MemoryError as error:
        raise ValueError("cannot load") from error


class _Large:
    """An object that a failed call still holds."""


def test_what_failed_lets_go_of_what_it_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames that an error keeps, and cycles."""
    monkeypatch.setattr(exhaustion._Process, "exhausted", False)  # noqa: SLF001 -- a process forgets it by ending
    held: list[weakref.ref[_Large]] = []

    def call() -> None:
        large = _Large()
        held.append(weakref.ref(large))
        raise MemoryError

    gc.disable()
    try:
        with pytest.raises(MemoryError) as caught:
            call()
        assert held[0]() is not None
        note_exhaustion(caught.value)
    finally:
        gc.enable()
    assert held[0]() is None
    assert exhaustion.is_exhausted()
