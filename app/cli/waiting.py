"""Waits for a run's end, with a progress bar on a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from batchord.core.run.runs import Run
from batchord.reports.runs import progress as progress_of

from .output import console
from .terminal import foreign

_POLL_SECONDS = 0.1


def wait_for_end(run: Run, *, quiet: bool) -> Run:
    """The run after its end. ``quiet``: without a progress bar."""
    from batchord.wiring import ledger

    with progress_bar(run.pipeline, quiet=quiet) as update:
        while not (now := ledger().runs.get(run.id)).state.ended:
            update(run.id)
            time.sleep(_POLL_SECONDS)
        update(run.id)
    return now


@contextmanager
def progress_bar(name: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A progress bar over a run's records. The block gets a function that moves it; it takes the run's id."""
    from batchord.wiring import ledger

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task(foreign(name), total=None)

        def update(run_id: str) -> None:
            now = progress_of(ledger(), run_id)
            progress.update(task, total=now.discovered or None, completed=now.accounted)

        yield update
