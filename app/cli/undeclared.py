"""What commands say about open runs whose pipeline no file declares."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from batchord.core.errors import BatchordError
from batchord.core.run.runs import Run
from batchord.reports.runs import RunReport
from batchord.reports.undeclared import UndeclaredRun, old_and_open, undeclared_runs

from .database import require_ledger
from .output import console
from .terminal import foreign, text

#: The most open runs of each state that the status looks at.
_MOST_OPEN = 50


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


def standing_still(home: Path) -> list[str]:
    """The same of all open runs, for the status of the stack in ``home``; empty if the ledger cannot be read."""
    from batchord.settings import given_settings
    from batchord.wiring import ledger

    from ..localstack import Server, server_status, unconfigured_servers

    is_own = Server.POSTGRES in unconfigured_servers(given_settings())
    if is_own and not any(each.name is Server.POSTGRES and each.pid is not None for each in server_status(home)):
        return []
    try:
        require_ledger()
        reports = ledger().reports
        runs = [run for state in ("running", "queued") for run in reports.runs(state=state, limit=_MOST_OPEN)]
        return [str(each) for each in undeclared(runs)]
    except BatchordError:  # the status says what is wrong with the database
        return []
