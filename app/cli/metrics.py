"""The command ``metrics``."""

import sys

import click

from .database import shows_ledger
from .terminal import foreign


@click.command()
@shows_ledger
def metrics() -> None:
    """Print the metrics once, in Prometheus' text format.

    Flower's /metrics has the same ones, and its own.
    """
    from ..exposition import exposition, read_now

    reading = read_now()
    click.echo(exposition(reading), nl=False)
    for problem in reading.problems:
        click.echo(foreign(problem), err=True)
    if reading.problems:
        sys.exit(1)
