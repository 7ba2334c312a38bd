"""What a local run logs and prints: into the logs of its attempts, and onto the terminal.

Everything that an attempt logs is in its own log. But nobody would read there why a run does not begin.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout

import click

from batchord.output.last_words import MaskedFormatter

#: The loggers of what happens between attempts.
_LOGGERS = ("batchord.flow.local", "batchord.flow.upkeep.release")


@contextmanager
def captured(*, to_stderr: bool) -> Iterator[None]:
    """During the block, what the author's code logs and prints is kept with its attempt, and what it prints is shown.

    ``to_stderr``: shown on standard error, because standard output is for JSON.
    """
    from batchord.flow.attempt import log

    with redirect_stdout(sys.stderr) if to_stderr else nullcontext():
        log.install()
        try:
            yield
        finally:
            log.uninstall()


@contextmanager
def shown_waits() -> Iterator[None]:
    """During the block, warnings of a local run between its attempts are printed to standard error."""
    handler = _Terminal(level=logging.WARNING)
    handler.setFormatter(MaskedFormatter("%(message)s"))
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(handler)


class _Terminal(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # It asks for the stream each time: a progress bar puts another one in its place.
        click.echo(self.format(record), err=True)
