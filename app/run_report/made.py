"""Makes the report of a run of the configured ledger."""

from datetime import UTC, datetime


def report_of(run_id: str) -> str:
    """The report of the run as HTML, with what the settings show of records. Raises BatchordError."""
    from batchord.reports.run import detail_of
    from batchord.reports.run_names import short_ids
    from batchord.settings import settings
    from batchord.wiring import ledger

    from .page import report_page

    run = ledger().runs.get(run_id)
    return report_page(
        detail_of(ledger(), run),
        short_id=short_ids(ledger(), [run_id])[run_id],
        now=datetime.now(UTC),
        hides_records=settings().show_records == "none",
    )
