"""Ctrl-C and SIGTERM where a moment's carelessness would leave processes behind."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_interrupt(action: Callable[[int], object]) -> Iterator[None]:
    """SIGINT and SIGTERM do this for the while, where they are not ignored; then what they did before.

    ``action`` is given the signal's number.

    Does nothing outside the main thread, which alone receives signals and may change what they do.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        action(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    changed = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in changed:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """The first SIGINT or SIGTERM raises KeyboardInterrupt; later ones do not disturb the cleaning up."""
    seen = threading.Event()

    def interrupt(_number: int) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    with on_interrupt(interrupt):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """SIGINT and SIGTERM wait for the end of the block: between a process's start and the note of its pid.

    A mask of signals would not do: Python runs the handler in the main thread, whichever thread was sent the signal.
    """
    came: list[int] = []
    try:
        with on_interrupt(came.append):
            yield
    finally:
        for number in came[:1]:
            signal.raise_signal(number)
