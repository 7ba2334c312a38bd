"""How commands write a run's id for people."""

from batchord.core.errors import TransientError
from batchord.reports.run_names import short_id


def written(run_id: str) -> str:
    """The shortest beginning that no other run has; the whole id if the ledger does not answer now."""
    from batchord.wiring import ledger

    try:
        return short_id(ledger(), run_id)
    except TransientError:
        return run_id
