"""The command ``metrics``."""

import sys

import click

from .database import database
from .terminal import foreign


@click.command()
def metrics() -> None:
    """Print the metrics once, in Prometheus' text format.

    Flower's /metrics has the same ones, and its own.
    """
    from ..exposition import exposition, read_now

    with database(create=False):
        reading = read_now()
    click.echo(exposition(reading), nl=False)
    for problem in reading.problems:
        click.echo(foreign(problem), err=True)
    if reading.problems:
        sys.exit(1)
