"""What is and what would be: ``pipelines``, ``plan``, ``audit``."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.text import Text

from batchord.core.declared.steps import Predict, Step
from batchord.core.text.visible import as_one_entry

from .interventions import start_repair
from .output import console, json_option, print_json, print_problems, table
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.flow.upkeep.audit import Audit


@click.command()
@json_option
def pipelines(*, as_json: bool) -> None:
    """List the pipelines and all problems in their files."""
    from batchord.wiring import catalog

    loaded = catalog().loaded
    found = [loaded.pipelines[name] for name in sorted(loaded.pipelines)]
    if as_json:
        described = [
            {
                "name": each.name,
                "file": loaded.files[each.name],
                "schedule": None if each.schedule is None else str(each.schedule),
                "overlap": each.overlap,
                "description": each.description,
                "steps": [
                    {"name": step.name, "kind": step.kind, "after": list(step.after), "model": _model(step)}
                    for step in each.steps
                ],
            }
            for each in found
        ]
        problems = [{"file": p.file, "pipeline": p.pipeline, "what": p.what} for p in loaded.problems]
        print_json({"pipelines": described, "problems": problems})
    else:
        rows = [
            (
                each.name,
                "by hand" if each.schedule is None else str(each.schedule),
                ", ".join(f"{step.name} ({_model(step) or step.kind})" for step in each.steps),
                loaded.files[each.name],
            )
            for each in found
        ]
        empty = f"{catalog().folder} has no pipelines."
        table("Pipelines", ("pipeline", "schedule", "steps", "file"), rows, empty=empty)
        print_problems(loaded.problems)
    if loaded.problems:
        sys.exit(1)


@click.command()
@click.argument("name")
@json_option
def plan(name: str, *, as_json: bool) -> None:
    """Show what a run of NAME would predict now: records, shards and time. The command writes nothing."""
    from batchord.flow.begin.preview import preview
    from batchord.wiring import parts

    steps = preview(parts(), pipeline=name)
    if as_json:
        print_json([step.as_json() for step in steps])
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
        if step.stray is not None:
            console.print(text((f"{foreign(step.step)}:", "yellow"), f" {foreign(step.stray)}"))


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--repair", is_flag=True, help="Start a run that predicts the missing records.")
@json_option
def audit(names: Sequence[str], *, repair: bool, as_json: bool) -> None:
    """Check that no record is missing or duplicated: compare every record of the source with the ledger.

    The exit code is 1 when a record is missing or duplicated, or when the audit could not read a source.
    Without NAME, the command audits all pipelines.
    """
    from batchord.flow.upkeep.audit import as_json as counts
    from batchord.flow.upkeep.audit import audit as run_audit
    from batchord.wiring import catalog, parts

    for name in names:
        catalog().get(name)  # a wrong name is told at once, not after an hour's reading
    results = {name: run_audit(parts(), pipeline=name) for name in names or catalog().names()}
    if as_json:
        print_json({name: counts(found) for name, (found, _) in results.items()})
    else:
        rows = [
            (
                name,
                found.records,
                found.predicted,
                found.rejected,
                found.pending,
                found.missing,
                found.duplicated,
                _verdict(found),
            )
            for name, (found, _) in results.items()
        ]
        columns = ("pipeline", ">records", ">predicted", ">rejected", ">pending", ">missing", ">duplicated", "")
        table("Audit", columns, rows, empty="No pipelines to audit.", least=("pending", "predicted"))
        for name, (found, examples) in results.items():
            for step, why in found.not_audited.items():
                where = f"{foreign(name)}: the audit could not check step {foreign(step)}:"
                console.print(text((where, "red"), f" {as_one_entry(why)}"))
            for kind, keys in examples.items():
                console.print(text((f"{foreign(name)}: {kind}", "red"), f" {', '.join(map(foreign, keys))}"))
    if repair:
        for name, (found, _) in results.items():
            if found.missing:
                started = start_repair(name)
                click.echo(f"Run {started.id} predicts the missing records of {name}.", err=True)
    if not all(found.clean for found, _ in results.values()):
        sys.exit(1)


def _verdict(found: "Audit") -> Text:
    if found.not_audited and not found.missing and not found.duplicated:
        return text(("NOT AUDITED", "red"))
    return text(("clean", "green") if found.clean else ("NOT CLEAN", "red"))


def _model(step: Step) -> str | None:
    if not isinstance(step, Predict):
        return None
    model = step.declared_model
    location = getattr(model, "location", None)
    return f"{type(model).__name__} {location}" if location else type(model).__name__
