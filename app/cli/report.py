"""The command ``report``."""

import sys
from pathlib import Path

import click

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause

from .database import shows_ledger
from .output import console
from .terminal import foreign


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write, such as report.html."
)
@shows_ledger
def report(run_id: str, output: Path | None) -> None:
    """Write the report of a run as one HTML file, which can be sent.

    RUN is the first characters of a run's id, or a pipeline's name for its newest run. The file has its charts and
    styles in it, and no script. Without -o it goes to standard output, which must then be a file or another program.
    """
    from batchord.reports.run_names import short_id
    from batchord.wiring import ledger

    from ..run_report import report_of
    from .history import find_run

    if output is None and sys.stdout.isatty():
        raise click.UsageError(f"Name the file: batchord report {run_id} -o report.html")
    run = find_run(run_id)
    page = report_of(run.id)
    if output is None:
        click.echo(page, nl=False)
        return
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {clause(error)}.") from None
    short = short_id(ledger(), run.id)
    console.print(f"{foreign(output)}: {foreign(run.pipeline)} {short}, {run.state}, {len(page) // 1024:,} KiB.")
