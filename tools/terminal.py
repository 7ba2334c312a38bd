"""What set-up says: calm lines on a terminal, the full output of pip in a log."""

import sys
import time
from collections.abc import Iterable
from typing import TextIO

#: Lines of pip's that tell a user nothing: a package index that offers files for other machines.
_NOISE = ("is ignored", "Looking in links", "Looking in indexes", "[notice]")
_WIDTH = 76


class SetupError(Exception):
    """Set-up cannot go on; the message says what happened and what to do."""


def say(text: str) -> None:
    """One line for the user."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def follow(lines: Iterable[str], log: TextIO) -> list[str]:
    """Write ``lines`` into ``log``; on a terminal also show the latest one, in place, with the seconds so far.

    Returns the last lines that say something, for a message when the command fails.
    """
    started = time.monotonic()
    telling: list[str] = []
    live = sys.stdout.isatty()
    for line in lines:
        log.write(line)
        text = line.strip()
        if not text or any(noise in text for noise in _NOISE):
            continue
        telling = [*telling[-11:], text]
        if live:
            shown = f"  {time.monotonic() - started:4.0f} s  {text}"
            sys.stdout.write(f"\r{shown[:_WIDTH]:<{_WIDTH}}")
            sys.stdout.flush()
    if live:
        sys.stdout.write("\r" + " " * _WIDTH + "\r")
    return telling
