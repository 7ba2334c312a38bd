"""Shows on the terminal what a local run waits for.

Everything that an attempt logs is in its own log. But nobody would read there why a run does not begin.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from batchord.output.last_words import MaskedFormatter

#: The loggers of what happens between attempts.
_LOGGERS = ("batchord.flow.local", "batchord.flow.upkeep.release")


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
