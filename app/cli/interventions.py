"""Commands that change runs: ``retry``, ``rerun``, ``cancel``."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from batchord.core.run.runs import Run
from batchord.reports.rejections import retry_in_words
from batchord.reports.run_names import open_run_named, short_id, short_ids
from batchord.reports.runs import RunReport

from .actor import this_person
from .broker import publish
from .database import require_ledger
from .history import find_run
from .output import coloured, console, json_option, print_json
from .run import print_end
from .terminal import text
from .waiting import wait_for_end


@click.command()
@click.argument("name")
@click.option("--reason", help="Only rejections with this reason, such as missing-object.")
@click.option(
    "--key", "keys", multiple=True, help="Only the rejection of this record. Repeat the option for more records."
)
@json_option
def retry(name: str, reason: str | None, keys: Sequence[str], *, as_json: bool) -> None:
    """Predict rejected records of pipeline NAME again after a fix: all of them, by reason, or by key."""
    from batchord.flow.begin.repair import retry_rejections
    from batchord.wiring import ledger, parts

    require_ledger()
    run, count, messages = retry_rejections(
        parts(), pipeline=name, reason=reason, keys=list(keys) or None, actor=this_person()
    )
    publish(messages)
    if as_json:
        print_json({"rejections": count, "run": None if run is None else asdict(RunReport.of(run))})
    else:
        console.print(retry_in_words(count, short_id=None if run is None else short_id(ledger(), run.id)))


@click.command()
@click.argument("run_id", metavar="RUN")
@json_option
def cancel(run_id: str, *, as_json: bool) -> None:
    """End a run. Its predictions stay. The pipeline's next run predicts the rest.

    RUN is the first characters of a run's id, or a pipeline's name for its run that is queued or running.
    """
    from batchord.flow.drive.cancel import cancel_run
    from batchord.wiring import ledger, parts

    require_ledger()
    run = open_run_named(ledger(), run_id)
    publish(cancel_run(parts(), run_id=run.id, actor=this_person()))
    ended = ledger().runs.get(run.id)
    if as_json:
        print_json(asdict(RunReport.of(ended)))
    else:
        had_ended = " It had ended before, so nothing was changed." if run.state.ended else ""
        console.print(text(f"Run {short_id(ledger(), ended.id)} is ", coloured(ended.state), f".{had_ended}"))


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--from", "from_step", metavar="STEP", help="Only this step and the steps after it.")
@click.option("--failed", is_flag=True, help="Only the failed steps and the steps after them.")
@click.option("--wait", is_flag=True, help="Wait for the run's end. The exit code is 0 only when the run succeeded.")
@json_option
def rerun(run_id: str, from_step: str | None, *, failed: bool, wait: bool, as_json: bool) -> None:
    """Repeat an ended run as a new run with the same window and parameters.

    RUN is the first characters of a run's id, or a pipeline's name for its newest run. Existing predictions stay. A
    Predict step takes the records that have none.
    """
    from batchord.flow.begin.rerun import rerun as open_rerun
    from batchord.wiring import ledger, parts

    if from_step is not None and failed:
        raise click.UsageError("--from and --failed exclude each other. Give one of them.")
    require_ledger()
    old = find_run(run_id)
    run, messages = open_rerun(parts(), run_id=old.id, from_step=from_step, failed=failed, actor=this_person())
    publish(messages)
    if wait:
        print_end(wait_for_end(run, quiet=as_json), as_json=as_json)
    elif as_json:
        print_json(asdict(RunReport.of(run)))
    else:
        ids = short_ids(ledger(), [run.id, old.id])
        console.print(text(f"Run {ids[run.id]} repeats run {ids[old.id]}. Its state: ", coloured(run.state), "."))


def start_repair(name: str) -> Run:
    """Opens a run that reads the whole source, for records that an audit found missing."""
    from batchord.flow.begin.repair import repair_missing
    from batchord.wiring import parts

    run, messages = repair_missing(parts(), pipeline=name, actor=this_person())
    publish(messages)
    return run
