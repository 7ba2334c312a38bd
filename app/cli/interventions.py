"""What a person changes: ``retry``, ``cancel``."""

from collections.abc import Sequence

import click

from app.cli.history import find_run
from app.cli.output import coloured, console, json_option, print_json, run_json
from app.core.messages import Message
from app.core.runs import Run


@click.command()
@click.argument("name")
@click.option("--reason", help="Only rejections with this reason, such as missing-object.")
@click.option("--key", "keys", multiple=True, help="Only the rejection of this record; can be given again.")
@json_option
def retry(name: str, reason: str | None, keys: Sequence[str], *, as_json: bool) -> None:
    """Predict rejected records of pipeline NAME again, after a fix: all, by reason, or by key."""
    from app.flow.repair import retry_rejections
    from app.wiring import parts

    run, count, messages = retry_rejections(parts(), pipeline=name, reason=reason, keys=list(keys) or None)
    _send(messages)
    if as_json:
        print_json({"rejections": count, "run": None if run is None else run_json(run)})
    elif run is None:
        console.print("No rejection matches; nothing was changed.")
    else:
        console.print(f"{count:,} rejections are taken up again by run {run.id}.")


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def cancel(run_id: str, *, as_json: bool) -> None:
    """End a run. What it predicted stays; the pipeline's next run takes the rest."""
    from app.flow.cancel import cancel_run
    from app.wiring import ledger, parts

    run = find_run(run_id)
    _send(cancel_run(parts(), run_id=run.id))
    ended = ledger().runs.get(run.id)
    if as_json:
        print_json(run_json(ended))
    else:
        console.print(f"Run {ended.id} is {coloured(ended.state)}.")


def start_repair(name: str) -> Run:
    """Opens a run over the whole source for what an audit found missing."""
    from app.flow.repair import repair_missing
    from app.wiring import parts

    run, messages = repair_missing(parts(), pipeline=name)
    _send(messages)
    return run


def _send(messages: Sequence[Message]) -> None:
    """Sends what a verb returned, by the tasks' names: the command line needs no worker's code."""
    from app.celery import app
    from app.core.messages import RunReady, StepReady

    for message in messages:
        match message:
            case StepReady(run_id=run_id, step=step):
                app.send_task("batchord.plan_step", kwargs={"run_id": run_id, "step": step}, queue="control")
            case RunReady(run_id=run_id):
                app.send_task("batchord.advance_run", kwargs={"run_id": run_id}, queue="control")
            case _:
                raise AssertionError(f"the command line sends no {type(message).__name__}")
