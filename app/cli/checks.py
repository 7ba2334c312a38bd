"""Commands that check: ``pipelines``, ``plan``, ``audit``."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from batchord.core.text.visible import as_one_entry
from batchord.reports.pipelines import declared_pipelines

from .database import database
from .interventions import start_repair
from .output import console, json_option, print_json, print_problems, table
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.flow.begin.preview import StepPreview
    from batchord.reports.audits import AuditReport

_NOT_LOADED = "The model was not loaded: {why}. Its declaration and its columns were checked; `batchord try` loads it."


@click.command()
@json_option
def pipelines(*, as_json: bool) -> None:
    """List the pipelines and all problems in their files."""
    from batchord.wiring import catalog

    report = declared_pipelines(catalog().loaded)
    if as_json:
        print_json(report.as_json())
    else:
        rows = [
            (
                each.name,
                each.when,
                ", ".join(f"{step.name} ({step.model or step.kind})" for step in each.steps),
                each.file,
            )
            for each in report.pipelines
        ]
        empty = f"{catalog().folder} has no pipelines."
        table("Pipelines", ("pipeline", "schedule", "steps", "file"), rows, empty=empty)
        print_problems(report.problems)
    if report.problems:
        sys.exit(1)


@click.command()
@click.argument("name")
@json_option
def plan(name: str, *, as_json: bool) -> None:
    """Show what a run of NAME would predict now: records, shards and time. The command writes nothing.

    The exit code is 1 when a model cannot be loaded, or reads a column that its source does not give.
    """
    from batchord.flow.begin.preview import preview
    from batchord.wiring import catalog, parts

    catalog().get(name)  # report a wrong name before a database is started
    with database():
        steps = preview(parts(), pipeline=name)
    if as_json:
        print_json([step.as_json() for step in steps])
        _end_plan(steps)
        return
    rows = [
        (
            step.step,
            step.model_version,
            step.records,
            step.shards,
            step.largest_shard,
            step.shard_size,
            step.expected_seconds,
            "yes" if step.backlog_left else "no",
        )
        for step in steps
    ]
    columns = (
        "step",
        "model",
        ">records",
        ">shards",
        ">largest shard",
        "shard size",
        ">expected seconds",
        "follow-up run",
    )
    least = ("largest shard", "shard size", "follow-up run")
    table(f"Plan of {name}", columns, rows, empty="The pipeline has no Predict steps.", least=least)
    for step in steps:
        name = f"{foreign(step.step)}:"
        if step.stray is not None:
            console.print(text((name, "yellow"), f" {foreign(step.stray)}"))
        if step.missing_libraries is not None:
            console.print(text((name, "yellow"), f" The model was not loaded: {step.missing_libraries}"))
        elif step.not_loaded is not None:
            console.print(text((f"{name} {_NOT_LOADED.format(why=foreign(step.not_loaded))}", "dim")))
        for problem in step.problems:
            console.print(text(("✗", "red"), f" {name} {as_one_entry(problem)}"))
    _end_plan(steps)


def _end_plan(steps: Sequence["StepPreview"]) -> None:
    if any(step.problems for step in steps):
        sys.exit(1)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--repair", is_flag=True, help="Start a run that predicts the missing records.")
@json_option
def audit(names: Sequence[str], *, repair: bool, as_json: bool) -> None:
    """Check that no record is missing or duplicated: compare every record of the source with the ledger.

    The exit code is 1 when a record is missing or duplicated, or when the audit could not read a source.
    Without NAME, the command audits all pipelines.
    """
    from batchord.reports.audits import audits
    from batchord.reports.run_names import short_id
    from batchord.wiring import catalog, ledger, parts

    for name in names:
        catalog().get(name)  # report a wrong name at once, not after reading for an hour
    with database():
        reports = audits(parts(), names or catalog().names())
    if as_json:
        print_json({report.pipeline: report.as_json() for report in reports})
    else:
        _print_audits(reports)
    if repair:
        for report in reports:
            if report.counts.missing:
                started = start_repair(report.pipeline)
                click.echo(
                    f"Run {short_id(ledger(), started.id)} predicts the missing records of {report.pipeline}.", err=True
                )
    if not all(report.counts.clean for report in reports):
        sys.exit(1)


def _print_audits(reports: Sequence["AuditReport"]) -> None:
    rows = [
        (
            report.pipeline,
            report.counts.records,
            report.counts.predicted,
            report.counts.rejected,
            report.counts.pending,
            report.counts.missing,
            report.counts.duplicated,
            text((report.verdict, "green" if report.counts.clean else "red")),
        )
        for report in reports
    ]
    columns = ("pipeline", ">records", ">predicted", ">rejected", ">pending", ">missing", ">duplicated", "")
    table("Audit", columns, rows, empty="No pipelines to audit.", least=("pending", "predicted"))
    for report in reports:
        name = foreign(report.pipeline)
        for step, why in report.counts.not_audited.items():
            where = f"{name}: the audit could not check step {foreign(step)}:"
            console.print(text((where, "red"), f" {as_one_entry(why)}"))
        for kind, keys in report.examples.items():
            console.print(text((f"{name}: {kind}", "red"), f" {', '.join(map(foreign, keys))}"))
