"""Waits for runs, with a progress bar on a terminal. After Ctrl-C the runs go on; the person reads how to come back."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from batchord.core.run.runs import Run, RunState
from batchord.reports.counts import counts_of

from .output import console
from .run_ids import written
from .terminal import foreign

#: The exit code of a program that SIGINT ended, by the shells' convention.
INTERRUPTED = 130
_POLL_SECONDS = 0.1
#: After how many seconds a person reads why a run has not started.
_TELL_SECONDS = 2.0


@contextmanager
def on_ctrl_c(message: Callable[[], str]) -> Iterator[None]:
    """After Ctrl-C in the block, prints the message to standard error and exits with 130."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted. {message()}", err=True)
        sys.exit(INTERRUPTED)


def run_goes_on(run_id: str) -> str:
    """What a person reads who stops waiting for a run."""
    run = written(run_id)
    return f"Run {run} goes on. `batchord show {run}` shows it, and `batchord cancel {run}` ends it."


def wait_for_end(run: Run, *, quiet: bool) -> Run:
    """The run after its end. ``quiet``: without a progress bar. After Ctrl-C, the program ends and the run goes on."""
    from batchord.wiring import ledger

    began, told = time.monotonic(), quiet
    with on_ctrl_c(lambda: run_goes_on(run.id)), progress_bar(run.pipeline, quiet=quiet) as update:
        while not (now := ledger().runs.get(run.id)).state.ended:
            if not told and now.state is RunState.QUEUED and time.monotonic() >= began + _TELL_SECONDS:
                _tell_of_wait(now)
                told = True
            update(run.id)
            time.sleep(_POLL_SECONDS)
        update(run.id)
    return now


def _tell_of_wait(run: Run) -> None:
    """Says on standard error why the run has not started."""
    from batchord.reports.waits import waits_of
    from batchord.wiring import ledger

    click.echo(f"Run {written(run.id)} is queued. {foreign(' '.join(waits_of(ledger(), run)))}", err=True)


@contextmanager
def progress_bar(name: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A progress bar over a run's records, or one for each Predict step.

    The block gets a function that moves the bars; it takes the run's id.
    """
    from batchord.wiring import ledger

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        # Before the steps are known, the bar stands for the whole pipeline.
        bars: dict[str, TaskID] = {"": progress.add_task(foreign(name), total=None)}

        def update(run_id: str) -> None:
            counts = counts_of(ledger(), [run_id])[run_id]
            if len(counts) > 1 and "" in bars:
                progress.remove_task(bars.pop(""))
            for each in counts:
                step = each.step if len(counts) > 1 else ""
                if step not in bars:
                    bars[step] = progress.add_task(f"{foreign(name)} {foreign(step)}", total=None)
                progress.update(bars[step], total=each.discovered or None, completed=each.accounted)

        yield update
