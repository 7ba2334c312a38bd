"""The command ``top``."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import click
from rich.live import Live
from rich.table import Table

from batchord.core.errors import BatchordError
from batchord.reports.activity import Activity, activity
from batchord.settings import settings

from .answering import AnsweringWorkers
from .database import shows_ledger
from .output import console, json_option, print_json
from .terminal import foreign, text
from .top_tables import frame

#: Seconds between two frames.
_EVERY = 1.0
#: How long a single frame waits for the workers' answers.
_FIRST = 5.0
#: ``q``, and Ctrl-D.
_QUIT = b"qQ\x04"
#: The most keys that are read at once.
_KEYS = 64


@click.command()
@click.option("--once", is_flag=True, help="Print what goes on now, and end, as it does without a terminal.")
@json_option
@shows_ledger
def top(*, once: bool, as_json: bool) -> None:
    """Watch what goes on: pipelines with their open runs, what each worker does, queues, and idle workers.

    It is drawn anew each second. q or Ctrl-C ends it.
    """
    with _answering() as workers:
        if as_json:
            print_json(_read(workers, wait=_FIRST).as_json())
        elif once or not (console.is_terminal and sys.stdin.isatty()):
            console.print(frame(_read(workers, wait=_FIRST), now=datetime.now(UTC)))
        else:
            _watch(workers)


def _watch(workers: AnsweringWorkers) -> None:
    with (
        suppress(KeyboardInterrupt),
        _keys() as pressed,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while not pressed() & set(_QUIT):
            live.update(_frame_or_problem(workers), refresh=True)


@contextmanager
def _answering() -> Iterator[AnsweringWorkers]:
    """The workers that answer. Without Redis, nobody asks them."""
    workers = AnsweringWorkers()
    if settings().redis_url is not None:
        workers.start()
    try:
        yield workers
    finally:
        workers.stop()


def _read(workers: AnsweringWorkers, *, wait: float = 0.0) -> Activity:
    from batchord.wiring import catalog, ledger, queue_depths

    from ..configuration import QUEUES

    shown = activity(catalog().loaded, ledger, queue_depths, standard_queues=QUEUES)
    return replace(shown, answering=workers.newest(wait=wait if shown.unread_because is None else 0.0))


def _frame_or_problem(workers: AnsweringWorkers) -> Table:
    """The next frame. A server that is away for a while does not end it."""
    try:
        return frame(_read(workers), now=datetime.now(UTC))
    except BatchordError as error:
        problem = Table.grid()
        problem.add_row(text((foreign(error), "red")))
        return problem


@contextmanager
def _keys() -> Iterator[Callable[[], set[int]]]:
    """Gives a function that waits until it is time for the next frame, or until a person presses a key.

    It returns the keys. They are not shown, and need no Enter after them. The first frame comes at once.
    """
    import termios
    import tty

    source = sys.stdin.fileno()
    before = termios.tcgetattr(source)
    tty.setcbreak(source, termios.TCSANOW)  # keys that were pressed before count
    wait = 0.0

    def pressed() -> set[int]:
        nonlocal wait
        ready, _, _ = select.select([source], [], [], wait)
        wait = _EVERY
        return set(os.read(source, _KEYS)) if ready else set()

    try:
        yield pressed
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)
