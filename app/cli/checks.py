"""Commands that check: ``pipelines``, ``plan``, ``audit``."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from batchord.core.text.visible import as_one_entry
from batchord.reports.pipelines import CatalogReport, pipelines_now

from .actor import this_person
from .database import database
from .edits import known
from .interventions import start_repair
from .output import console, json_option, print_json, print_problems, table, with_offset
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.flow.begin.preview import StepPreview
    from batchord.reports.audits import AuditReport

_NOT_LOADED = "The model was not loaded: {why}. Its declaration and its columns were checked; `batchord try` loads it."

#: What `pipelines` folds on a narrow terminal before it leaves out a column: one line for each pipeline reads best.
_FOLDS = {"steps": (), "file": ("schedule",)}


@click.command()
@json_option
def pipelines(*, as_json: bool) -> None:
    """List the pipelines and all problems in their files."""
    from batchord.wiring import catalog, ledger

    report = pipelines_now(catalog().loaded, ledger)
    if as_json:
        print_json(report.as_json())
    else:
        rows = [
            (
                each.name,
                each.when,
                text(("paused", "yellow")) if each.paused_at else with_offset(each.next) if each.next else "-",
                ", ".join(step.name for step in each.steps),
                each.file,
            )
            for each in report.pipelines
        ]
        empty = f"{catalog().folder} has no pipelines."
        columns = ("pipeline", "schedule", "next", "steps", "file")
        table("Pipelines", columns, rows, empty=empty, least=("steps", "file"), folds=_FOLDS)
        _print_switches(report)
        print_problems(report.problems)
    if report.problems:
        sys.exit(1)


def _print_switches(report: CatalogReport) -> None:
    """Prints what people switched at run time."""
    for each in report.pipelines:
        name = foreign(each.name)
        if each.paused_at is not None:
            by = "" if each.paused_by is None else f" by {foreign(each.paused_by)}"
            said = f" is paused since {with_offset(each.paused_at)}{by}. `batchord resume {name}` resumes it."
            console.print(text((name, "yellow"), said))
        if each.switched is not None:
            said = f" has a schedule that was set by hand. Its file says {foreign(each.file_says)}, which "
            console.print(text((name, "yellow"), f"{said}`batchord schedule {name} --reset` brings back."))
    if report.unknown_because is not None:
        said = f"Pauses and switched schedules are unknown: {as_one_entry(report.unknown_because)}"
        console.print(text((said, "dim")))


@click.command()
@click.argument("name")
@json_option
def plan(name: str, *, as_json: bool) -> None:
    """Show what a run of NAME would predict now: records, shards and time. The command writes nothing.

    The exit code is 1 when a model cannot be loaded, or reads a column that its source does not give.
    """
    from batchord.flow.begin.preview import preview
    from batchord.wiring import parts

    known(name)  # before a database is started
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
        ">expected seconds",
        "follow-up run",
    )
    least = ("largest shard", "follow-up run")
    table(f"Plan of {name}", columns, rows, empty="The pipeline has no Predict steps.", least=least)
    for step in steps:
        name = f"{foreign(step.step)}:"
        console.print(text((f"{name} size of shards: {foreign(step.shard_size)}", "dim")))
        if step.stray is not None:
            console.print(text((name, "yellow"), f" {foreign(step.stray)}"))
        for warning in step.warnings:
            console.print(text((name, "yellow"), f" {as_one_entry(warning)}"))
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
    Without NAME, the command audits all pipelines. The ledger keeps what was found.
    """
    from batchord.reports.audits import audits
    from batchord.reports.run_names import short_id
    from batchord.wiring import catalog, ledger, parts

    for name in names:
        catalog().get(name)  # report a wrong name at once, not after reading for an hour
    with database():
        reports = audits(parts(), names or catalog().names(), actor=this_person())
    if as_json:
        print_json({report.pipeline: report.as_json() for report in reports})
    else:
        _print_audits(reports)
    if repair:
        for report in reports:
            if report.counts.missing:
                started = start_repair(report.pipeline)
                ledger().audits.note_run(report.number, started.id)
                click.echo(
                    f"Run {short_id(ledger(), started.id)} predicts the missing records of {report.pipeline}.", err=True
                )
    if not all(report.counts.clean for report in reports):
        sys.exit(1)


def _print_audits(reports: Sequence["AuditReport"]) -> None:
    from batchord.reports.audits import verdict_of

    several = any(len(report.counts.steps) > 1 for report in reports)
    # Two steps may have the same records. So a pipeline with several Predict steps has a row for each.
    rows = [
        (
            report.pipeline,
            *((step,) if several else ()),
            counts.records,
            counts.predicted,
            counts.rejected,
            counts.pending,
            counts.missing,
            counts.duplicated,
            text((verdict_of(counts), "green" if counts.clean else "red")),
        )
        for report in reports
        for step, counts in report.rows
    ]
    counts_columns = (">records", ">predicted", ">rejected", ">pending", ">missing", ">duplicated", "")
    columns = ("pipeline", *(("step",) if several else ()), *counts_columns)
    table("Audit", columns, rows, empty="No pipelines to audit.", least=("pending", "predicted"))
    for report in reports:
        name = foreign(report.pipeline)
        for step, why in report.counts.not_audited.items():
            where = f"{name}: the audit could not check step {foreign(step)}:"
            console.print(text((where, "red"), f" {as_one_entry(why)}"))
        for where, examples in report.named_examples:
            for kind, keys in examples.items():
                console.print(text((f"{foreign(where)}: {kind}", "red"), f" {', '.join(map(foreign, keys))}"))
