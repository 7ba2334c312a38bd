"""``batchord try``: what a step would predict for a few records, without writing anything."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from batchord.core.text.counts import counted
from batchord.core.text.visible import as_one_entry

from .database import database
from .edits import known
from .failures import print_failure, print_next_steps
from .output import console, json_option, print_json, shortened, table
from .terminal import foreign, text
from .waiting import INTERRUPTED

if TYPE_CHECKING:
    from batchord.reports.dry_runs import DryRunReport

#: The most records of one dry run: it holds them in memory, and shows all of them.
_MOST_RECORDS = 1000
#: The most columns that are shown each in a line. More are shown by their types.
_MOST_COLUMNS = 20
#: The most characters that are shown of a value, a label and an output.
_MOST_VALUE, _MOST_LABEL, _MOST_OUTPUT = 40, 40, 80
#: The most characters that are shown of the names of the columns of one type.
_MOST_NAMES = 400


@click.command("try")
@click.argument("name")
@click.option("--step", help="The Predict step, if NAME has several.")
@click.option(
    "--limit",
    default=10,
    show_default=True,
    type=click.IntRange(min=1, max=_MOST_RECORDS),
    help="Predict at most this many records, the newest.",
)
@click.option("--key", metavar="KEY", help="Predict only the record with this key.")
@click.option("--where", metavar="SQL", help="Predict only records that meet this condition on the query's columns.")
@json_option
def try_(name: str, step: str | None, limit: int, key: str | None, where: str | None, *, as_json: bool) -> None:
    """Show what a step of NAME would predict now for its newest records. The command writes nothing.

    It shows the frame that the model gets, the predictions and the rejections. If the model raises an error, it shows
    the traceback from the first line of your own code on, and the exit code is 1. Records that are predicted already
    can be tried, too.
    """
    if key is not None and where is not None:
        raise click.UsageError("Give --key or --where, not both.")
    from batchord.flow.begin.dry_run import dry_run
    from batchord.reports.dry_runs import report_of
    from batchord.wiring import parts

    known(name, refuses_broken=True)  # before a database is started
    with _interruptible(), database():
        built = parts()
        declared = built.catalog.get(name)
        begins = _tell_once(name, quiet=as_json or not console.is_terminal)
        tried = dry_run(built, declared, step=step, limit=limit, key=key, where=where, on_call=begins)
        report = report_of(tried)
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    if not report.is_well:
        sys.exit(1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """After Ctrl-C in the block, says at which line the author's code was, and exits."""
    from batchord.core.code.traces import trace_of

    try:
        yield
    except KeyboardInterrupt as error:
        trace = trace_of(error)
        place = f" Your code was at {foreign(trace.file)}:{trace.line}." if trace.is_authors else ""
        click.echo(f"\nInterrupted.{place} Nothing was written.", err=True)
        sys.exit(INTERRUPTED)


def _tell_once(name: str, *, quiet: bool) -> Callable[[int], None]:
    """A function that says once that the model is at work: it may never return. If ``quiet``, it says nothing."""
    told = quiet

    def tell(records: int) -> None:
        nonlocal told
        if not told:
            console.print(f"{foreign(name)}: the model gets {counted(records, 'record')} …")
        told = True

    return tell


def _print(report: "DryRunReport") -> None:
    model = "" if report.model_version is None else f", model {foreign(report.model_version)}"
    console.print(text((foreign(report.pipeline), "bold"), f"  step {foreign(report.step)}{model}"))
    if report.chosen:
        console.print(f"{foreign(report.chosen)}. Nothing is written.")
    if report.columns:
        console.print()
        _print_frame(report)
    if report.predictions:
        console.print()
        _print_predictions(report)
    if report.rejections:
        console.print()
        rows = [(each.key, each.reason, each.detail) for each in report.rejections]
        table("Rejections", ("record", "reason", "detail"), rows, empty="")
    console.print()
    seconds = ", ".join(f"{phase} {value:.2f}" for phase, value in report.seconds.items())
    console.print(f"Seconds: {seconds}", style="dim")
    for warning in report.warnings:
        console.print(text(("!", "yellow"), f" {as_one_entry(warning)}"))
    _print_error(report)


def _print_frame(report: "DryRunReport") -> None:
    title = f"The model gets {counted(report.given, 'record')}, indexed by {foreign(report.index)}"
    if len(report.columns) <= _MOST_COLUMNS:
        rows = [
            (name, dtype, shortened(report.examples.get(name, ""), _MOST_VALUE))
            for name, dtype in report.columns.items()
        ]
        table(title, ("column", "type", "value"), rows, empty="")
        return
    types = [
        (dtype, len(names), shortened(", ".join(names), _MOST_NAMES))
        for dtype, names in _by_type(report.columns).items()
    ]
    table(f"{title}, in {counted(len(report.columns), 'column')}", ("type", ">columns", "names"), types, empty="")


def _by_type(columns: Mapping[str, str]) -> dict[str, list[str]]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, dtype in columns.items():
        names[dtype].append(name)
    return names


def _print_predictions(report: "DryRunReport") -> None:
    outputs = any(each.output for each in report.predictions)
    rows = [
        (
            each.key,
            None if each.label is None else shortened(each.label, _MOST_LABEL),
            None if each.score is None else f"{each.score:.4g}",
            *([shortened(json.dumps(each.output or {}, ensure_ascii=False), _MOST_OUTPUT)] if outputs else []),
        )
        for each in report.predictions
    ]
    columns = ("record", "label", ">score", *(["output"] if outputs else []))
    table("Predictions", columns, rows, empty="")


def _print_error(report: "DryRunReport") -> None:
    if report.failure is not None:
        console.print()
        print_failure(report.failure)
    if report.error is not None and not report.is_told_by_traceback:
        console.print()
        console.print(text(("✗", "red"), f" {as_one_entry(report.error)}"))
    if report.failure is not None and report.failure.key is not None:
        console.print()
        print_next_steps(report.next_steps)
