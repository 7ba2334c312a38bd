"""Ctrl-C and SIGTERM where a moment's carelessness would leave processes behind."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_interrupt(action: Callable[[], object]) -> Iterator[None]:
    """SIGINT and SIGTERM do this for the while, where they are not ignored; then what they did before.

    Does nothing outside the main thread, which alone receives signals and may change what they do.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        action()

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

    def interrupt() -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    with on_interrupt(interrupt):
        yield
