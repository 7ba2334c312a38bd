"""What the status of the stack remarks on what is in the ledger."""

from pathlib import Path

from batchord.core.errors import BatchordError
from batchord.reports.moving import moving_remark

from .database import require_ledger
from .undeclared import undeclared

#: The most open runs of each state that the status looks at.
_MOST_OPEN = 50


def ledger_remarks(home: Path) -> list[str]:
    """Open runs that no file declares, and predictions that are being moved; for the status of the stack in ``home``.

    Empty if the ledger cannot be read: the status says what is wrong with the database.
    """
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
        remarks = [str(each) for each in undeclared(runs)]
        moving = moving_remark(ledger())
    except BatchordError:
        return []
    return remarks if moving is None else [*remarks, moving]
