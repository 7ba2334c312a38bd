"""``batchord run``: starts a run by hand."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import click

from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.runs import Run, RunState
from batchord.core.text.counts import counted
from batchord.reports.counts import counts_of
from batchord.reports.run_names import short_id
from batchord.reports.runs import RunReport

from . import values
from .actor import this_person
from .backfill import fill_range
from .broker import ask
from .database import database, is_configured, require_ledger
from .edits import known
from .failures import print_failures
from .history import print_run
from .local_log import captured, shown_waits
from .output import console, json_option, print_json
from .run_ids import written
from .terminal import foreign
from .waiting import on_ctrl_c, progress_bar, wait_for_end

#: How long to wait until a worker opens the run. Then the command says that no worker seems to run.
_OPEN_SECONDS = 15
#: How long to wait before sending the request again: if a worker dies right after taking it, the message is lost.
_AGAIN_SECONDS = 5
_POLL_SECONDS = 0.1


@click.command()
@click.argument("name")
@click.option("--wait", is_flag=True, help="Wait for the run's end. The exit code is 0 only when the run succeeded.")
@click.option("--local", is_flag=True, help="Run in this process, without a broker or workers.")
@click.option(
    "--param",
    "params",
    callback=values.params,
    multiple=True,
    metavar="KEY=VALUE",
    help="A parameter of the run; VALUE is JSON or text. Repeat the option for more.",
)
@click.option("--from", "start", callback=values.moment, metavar="TIME", help="Fill past windows from this time on.")
@click.option(
    "--to",
    "end",
    callback=values.moment,
    metavar="TIME",
    help="Fill past windows up to this time. ISO 8601; UTC without an offset.",
)
@json_option
def run(
    name: str,
    params: dict[str, Any],
    start: datetime | None,
    end: datetime | None,
    *,
    wait: bool,
    local: bool,
    as_json: bool,
) -> None:
    """Start a run of pipeline NAME by hand. The run waits while another run of NAME is active.

    With --from and --to, start one run for each window of NAME's schedule in that range, the oldest first. These
    runs start after all other waiting runs of NAME. At most max_active_runs of them work at once.
    """
    from batchord.wiring import ledger

    if (start is None) != (end is None) or (local and start is not None):
        raise click.UsageError("Give both --from and --to, and leave out --local: only workers fill windows.")
    known(name)  # report a wrong name here, not in a worker's log
    if not local and is_configured():  # without, the error about the message says what to do
        require_ledger()
    if start is not None and end is not None:
        fill_range(name, start, end, params, wait=wait, as_json=as_json)
        return
    if local:
        with database():
            require_ledger()
            print_end(_run_here(name, params, quiet=as_json), as_json=as_json)
        return
    ended = _run_on_workers(name, params, wait=wait, quiet=as_json)
    if wait:
        print_end(ended, as_json=as_json)
    elif as_json:
        print_json(_as_json(ended))
    elif ended.state.ended:
        print_run(ended)
    else:
        short = short_id(ledger(), ended.id)
        console.print(f"Run {short} is {ended.state}. `batchord show {short}` shows its progress.")


def print_end(ended: Run, *, as_json: bool) -> None:
    """Prints a run that has ended, and exits with 1 unless it succeeded."""
    if as_json:
        print_json(_as_json(ended))
    else:
        print_run(ended)
        if ended.state is not RunState.SUCCEEDED:
            _print_failures(ended)
    if ended.state is not RunState.SUCCEEDED:
        sys.exit(1)


def _print_failures(ended: Run) -> None:
    """Prints where the author's code failed."""
    from batchord.reports.run import detail_of
    from batchord.wiring import ledger

    print_failures(ended, detail_of(ledger(), ended).failures)


def _as_json(run: Run) -> dict[str, Any]:
    return {**asdict(RunReport.of(run)), "summary": run.summary, "error": run.error}


def _run_here(name: str, params: dict[str, Any], *, quiet: bool) -> Run:
    from batchord.flow.local import run_local
    from batchord.wiring import local_parts

    from ..run_report import report_of

    reporting = replace(local_parts(), run_report=report_of)
    opened: list[str] = []
    interrupted = on_ctrl_c(lambda: _left_over(name, opened))
    with (
        interrupted,
        progress_bar(name, quiet=quiet) as update,  # before the next line, or its drawings would count as printed text
        captured(to_stderr=quiet),  # what an author's code prints must not stand between the JSON
        shown_waits(),
    ):

        def note(run_id: str) -> None:
            opened[:] = [run_id]
            update(run_id)

        return run_local(reporting, pipeline=name, params=params, on_progress=note, actor=this_person())


def _left_over(name: str, opened: list[str]) -> str:
    """What is left of a local run after Ctrl-C, and how to go on."""
    from batchord.wiring import ledger

    if not opened:
        return "No run was started."
    (run_id,) = opened
    try:
        counts = counts_of(ledger(), [run_id])[run_id]
    except TransientError:
        counts = []
    done = ", ".join(
        f"{each.accounted:,} of {counted(each.discovered, 'record')} in step {foreign(each.step)}"
        for each in counts
        if each.discovered
    )
    short = written(run_id)
    return (
        f"Run {short} is open{f', done with {done}' if done else ''}. `batchord run {foreign(name)} --local` "
        f"continues it at once; workers continue it, too. `batchord cancel {short}` ends it."
    )


def _run_on_workers(name: str, params: dict[str, Any], *, wait: bool, quiet: bool) -> Run:
    from batchord.settings import settings

    if settings().redis_url is None:
        raise ConfigurationError(
            f"No Redis is configured, so no worker can take the run. `batchord run {foreign(name)} --local` runs it in "
            "this process. For workers, start the local stack with `batchord up`, or set BATCHORD_REDIS_URL."
        )
    request = str(uuid4())

    def send() -> None:
        by = this_person().to_json()
        ask("batchord.start_run", task_id=request, pipeline=name, trigger="cli", params=params, by=by)

    look = f"`batchord runs --pipeline {foreign(name)}` shows whether the run has started."
    with on_ctrl_c(lambda: f"A worker may still take the request. {look}"):
        opened = _opened(request, send)
    return wait_for_end(opened, quiet=quiet) if wait else opened


def _opened(request: str, send: Callable[[], None]) -> Run:
    """Sends the request until its run is open, and returns the run. Several messages still open only one run."""
    from batchord.wiring import ledger

    began = time.monotonic()
    for number in range(_OPEN_SECONDS // _AGAIN_SECONDS):
        send()
        while time.monotonic() < began + (number + 1) * _AGAIN_SECONDS:
            found = ledger().reports.run_by_request(request)
            if found is not None:
                return found
            time.sleep(_POLL_SECONDS)
    raise ConfigurationError(
        f"No worker has opened the run within {_OPEN_SECONDS} s. The request stays in the queue until a worker does. "
        "`batchord status` shows whether workers run; `batchord up` starts them. Workers that run may be busy, or may "
        "not have loaded a new file yet: `batchord runs` shows the run as soon as it is open."
    )
