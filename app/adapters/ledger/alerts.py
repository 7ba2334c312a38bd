"""Messages to people, kept once for each event."""

from app.adapters.ledger.connection import Connection
from app.core.records import storable

_KEEP = """
    INSERT INTO batchord.alerts (event, pipeline, run_id, message) VALUES (%s, %s, %s, %s)
    ON CONFLICT (event) DO NOTHING
"""


def keep_alert(connection: Connection, event: str, *, pipeline: str, run_id: str | None, message: str) -> None:
    """Keeps ``message``, unless the event is known already."""
    connection.execute(_KEEP, [event, pipeline, run_id, storable(message)])
