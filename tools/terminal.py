"""The output of the set-up: a few lines on the terminal, and the full output of pip in a log."""

import sys
import time
from collections.abc import Iterable
from typing import TextIO

#: Words in lines of pip that do not help a user, such as those about files for other machines.
_NOISE = ("is ignored", "Looking in links", "Looking in indexes", "[notice]")
_WIDTH = 76


class SetupError(Exception):
    """The set-up cannot continue. The message says what happened and what to do."""


def say(text: str) -> None:
    """Prints one line for the user."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


#: The beginnings of lines of pip and uv with which a stage begins, and what people read about it.
_STAGES = {
    "Collecting": "choosing the packages",
    "Resolved": "choosing the packages",
    "Downloading": "downloading",
    "Prepared": "downloading",
    "Building": "building",
    "Installing collected packages": "installing",
    "Installed": "installing",
}


def follow(lines: Iterable[str], log: TextIO) -> list[str]:
    """Writes ``lines`` into ``log``, and shows the progress with the seconds so far.

    On a terminal it shows the latest line. In a file or for another program, it prints one line for each stage. Returns
    the last lines that may help a user, for a message if the command fails.
    """
    started = time.monotonic()
    useful: list[str] = []
    told: set[str] = set()
    live = sys.stdout.isatty()
    for line in lines:
        log.write(line)
        text = line.strip()
        if not text or any(noise in text for noise in _NOISE):
            continue
        useful = [*useful[-11:], text]
        if live:
            shown = f"  {time.monotonic() - started:4.0f} s  {text}"
            sys.stdout.write(f"\r{shown[:_WIDTH]:<{_WIDTH}}")
            sys.stdout.flush()
            continue
        stage = next((stage for begin, stage in _STAGES.items() if text.startswith(begin)), None)
        if stage is not None and stage not in told:
            told.add(stage)
            say(f"  {time.monotonic() - started:4.0f} s  {stage}")
    if live:
        sys.stdout.write("\r" + " " * _WIDTH + "\r")
    return useful
