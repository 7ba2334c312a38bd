"""Handles Ctrl-C and SIGTERM at moments at which they could leave processes behind."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_interrupt(action: Callable[[int], object]) -> Iterator[None]:
    """During the block, SIGINT and SIGTERM call ``action`` with the signal's number. Ignored signals stay ignored.

    It does nothing outside of the main thread: only the main thread receives signals and may set their handlers.
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
    """The first SIGINT or SIGTERM raises KeyboardInterrupt. Later ones do not disturb the clean-up."""
    raised = threading.Event()

    def interrupt(_number: int) -> None:
        if not raised.is_set():
            raised.set()
            raise KeyboardInterrupt

    with on_interrupt(interrupt):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """SIGINT and SIGTERM take effect at the end of the block, such as one that starts a process and notes its pid.

    A signal mask does not serve: Python runs the handler in the main thread, whichever thread gets the signal.
    """
    received: list[int] = []
    try:
        with on_interrupt(received.append):
            yield
    finally:
        for number in received[:1]:
            signal.raise_signal(number)
