"""Past audits: what each found, and when."""

from collections.abc import Sequence
from typing import Any

from batchord.core.run.alerts import NewAlert
from batchord.core.run.audits import AuditNote
from batchord.core.run.records import storable
from batchord.ledger.alerts import keep_alert
from batchord.ledger.connection import Connections
from batchord.ledger.history import storable_json
from batchord.ledger.rows import one

_COUNTS = ("seconds", "records", "predicted", "rejected", "pending", "missing", "duplicated")
_KEEP = """
    INSERT INTO batchord.audits (pipeline, seconds, records, predicted, rejected, pending, missing, duplicated,
                                 not_audited, steps, examples, by_user, by_host, way)
    VALUES (%(pipeline)s, %(seconds)s, %(records)s, %(predicted)s, %(rejected)s, %(pending)s, %(missing)s,
            %(duplicated)s, %(not_audited)s, %(steps)s, %(examples)s, %(user)s, %(host)s, %(way)s)
    RETURNING id
"""


class AuditsTable:
    """What audits found."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def keep(self, note: AuditNote, alerts: Sequence[NewAlert] = ()) -> int:
        """Keeps the findings and the alerts about them in one transaction. Returns the audit's id."""
        actor = note.actor
        values: dict[str, Any] = {name: getattr(note, name) for name in _COUNTS}
        values |= {name: storable_json(getattr(note, name)) for name in ("not_audited", "steps", "examples")}
        values |= {
            "pipeline": note.pipeline,
            "user": actor and actor.user and storable(actor.user),
            "host": actor and actor.host and storable(actor.host),
            "way": actor and actor.way.value,
        }
        with self._connections.transaction() as connection:
            number: int = one(connection.execute(_KEEP, values).fetchone())["id"]
            for alert in alerts:
                keep_alert(connection, alert)
            return number

    def note_run(self, audit: int, run_id: str) -> None:
        """Notes the run that predicts what the audit found missing."""
        with self._connections.transaction() as connection:
            connection.execute("UPDATE batchord.audits SET run_id = %s WHERE id = %s", [run_id, audit])
