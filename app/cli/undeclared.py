"""What commands say about open runs whose pipeline no file declares."""

from collections.abc import Iterable
from datetime import UTC, datetime

from batchord.core.run.runs import Run
from batchord.reports.runs import RunReport
from batchord.reports.undeclared import UndeclaredRun, old_and_open, undeclared_runs

from .output import console
from .terminal import foreign, text


def undeclared(runs: Iterable[Run | RunReport]) -> list[UndeclaredRun]:
    """Those of the runs that no file here declares. The files are loaded only if a run should have made progress."""
    from batchord.wiring import catalog, ledger

    waiting = old_and_open(runs, datetime.now(UTC))
    if not waiting or not catalog().folder.is_dir():  # without a folder, the files are elsewhere
        return []
    return undeclared_runs(ledger(), catalog().loaded, catalog().folder, waiting)


def print_undeclared(runs: Iterable[Run | RunReport]) -> None:
    """Prints a remark for each of them."""
    for each in undeclared(runs):
        console.print(text(("!", "yellow"), f" {foreign(each)}"))
