"""``batchord reset``: forgets what a pipeline has predicted."""

import sys
from typing import TYPE_CHECKING

import click

from batchord.core.text.counts import counted

from .actor import this_person
from .database import shows_ledger
from .output import console, json_option, print_json, table
from .terminal import foreign, text

if TYPE_CHECKING:
    from batchord.flow.upkeep.reset import Forgettable


@click.command()
@click.argument("name")
@click.option("--step", help="Only this Predict step.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@json_option
def reset(name: str, step: str | None, *, is_sure: bool, as_json: bool) -> None:
    """Forget the predictions and rejections of pipeline NAME. Its next run predicts all records again.

    No run of NAME may be queued or running. The command shows what it would forget, and asks. It cannot be undone.
    """
    if not is_sure and (as_json or not _can_ask()):
        raise click.UsageError("Nobody can be asked here. Give --yes to forget without a question.")
    _reset(name, step, is_sure=is_sure, as_json=as_json)


@shows_ledger
def _reset(name: str, step: str | None, *, is_sure: bool, as_json: bool) -> None:
    from batchord.flow.upkeep.reset import forgettable
    from batchord.flow.upkeep.reset import reset as forget
    from batchord.wiring import parts

    here = parts()
    with console.status("Counting …"):
        results = forgettable(here, pipeline=name, step=step)
    if not as_json:
        _print(results)
    if results.is_empty:
        if as_json:
            print_json({"pipeline": name, "steps": []})
        return
    if not is_sure:
        click.confirm("Forget them?", abort=True)
    with console.status("Forgetting …"):
        forgotten = forget(here, pipeline=name, steps=[each.step for each in results.steps], actor=this_person())
    if as_json:
        steps = [
            {"step": each.step, "predictions": each.predictions, "rejections": each.rejections} for each in forgotten
        ]
        print_json({"pipeline": name, "steps": steps})
        return
    predictions = sum(each.predictions for each in forgotten)
    rejections = sum(each.rejections for each in forgotten)
    console.print(f"Forgotten: {counted(predictions, 'prediction')}, {counted(rejections, 'rejection')}.")


def _can_ask() -> bool:
    return sys.stdin.isatty()


def _print(results: "Forgettable") -> None:
    name = foreign(results.pipeline)
    if results.is_empty:
        console.print(f"{name} has no predictions and no rejections. Nothing was changed.")
        return
    rows = [(each.step, each.predictions, each.rejections, each.since, each.until) for each in results.steps]
    columns = ("step", ">predictions", ">rejections", "since", "until")
    table(f"A reset of {name} forgets", columns, rows, empty="")
    if results.later_steps:
        steps = ", ".join(map(foreign, results.later_steps))
        console.print(f"What later steps made of them stays as it is: {steps}.")
    if results.followers:
        console.print(f"So does the work of pipelines that follow: {', '.join(map(foreign, results.followers))}.")
    if results.windowed:
        steps = ", ".join(map(foreign, results.windowed))
        console.print(
            text(
                (f"The next run predicts its own window only ({steps}). ", "yellow"),
                f"For all windows of the past, start a run with `batchord run {name} --from TIME --to TIME`.",
            )
        )
    else:
        console.print(f"The next run of {name} predicts all records again.")
