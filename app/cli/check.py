"""``batchord check``: what is wrong in pipeline files, for authors and their CI."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchord.core.text.counts import counted
from batchord.core.text.visible import as_one_entry
from batchord.output.masking import mask

from .output import console, json_option, print_json
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.reports.checks import CheckReport, Finding


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--models", is_flag=True, help="Load the models, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github"]),
    default="text",
    show_default=True,
    help="github: annotations for GitHub Actions.",
)
@json_option
def check(files: Sequence[Path], *, models: bool, form: str, as_json: bool) -> None:
    """Check pipeline files: their declarations, and their SQL against the database. The command writes nothing.

    Without FILE, the command checks all files in the folder of the pipelines. A FILE may also be a module that pipeline
    files import: then these are checked. The exit code is 1 when there is a problem.
    """
    from batchord.reports.checks import check_files
    from batchord.settings import settings
    from batchord.wiring import check_parts

    report = check_files(check_parts(models=models), settings().pipelines, files)
    if as_json:
        print_json(report.as_json())
    elif form == "github":
        _print_for_github(report)
    else:
        _print(report)
    if report.problems:
        sys.exit(1)


def _print(report: "CheckReport") -> None:
    for sign, colour, findings in (("✗", "red", report.problems), ("!", "yellow", report.warnings)):
        for each in findings:
            place = f"{foreign(each.file)}:{each.line}:"
            what = as_one_entry(mask(_sentence(each)))
            console.print(text((place, "bold"), " ", (sign, colour), f" {what}"), soft_wrap=True)
    for unchecked in report.unchecked:
        console.print(text(("!", "yellow"), f" {as_one_entry(mask(str(unchecked)))}"))
    problems, files = len(report.problems), counted(len(report.files), "file")
    verdict = text((counted(problems, "problem"), "red")) if problems else text(("No problems", "green"))
    console.print(verdict, f"in {counted(len(report.pipelines), 'pipeline')} of {files}.")


def _print_for_github(report: "CheckReport") -> None:
    """Workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions."""
    for command, findings in (("error", report.problems), ("warning", report.warnings)):
        for each in findings:
            title = _property(f"batchord check: {each.subject}" if each.subject else "batchord check")
            place = f"file={_property(each.file)},line={each.line}"
            console.print(f"::{command} {place},title={title}::{_data(each.what)}", soft_wrap=True)
    for unchecked in report.unchecked:
        console.print(f"::notice title=batchord check::{_data(str(unchecked))}", soft_wrap=True)


def _sentence(found: "Finding") -> str:
    return f"{found.subject}: {found.what}" if found.subject else found.what


def _data(message: str) -> str:
    """A message as the runner reads it. A line end would end the command, and another one could begin."""
    return mask(message).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
