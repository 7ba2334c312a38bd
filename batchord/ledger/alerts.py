"""Alerts, kept once for each event, and open incidents: what is wrong at present."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from batchord.core.run.alerts import Alert, AlertKind, NewAlert
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.masked_text import masked_text

_KEEP = """
    INSERT INTO batchord.alerts (event, kind, pipeline, run_id, title, message)
    VALUES (%(event)s, %(kind)s, %(pipeline)s, %(run_id)s, %(title)s, %(message)s)
    ON CONFLICT (event) DO NOTHING
"""
_CLAIM = """
    UPDATE batchord.alerts SET
        attempts = attempts + 1, due_at = batchord.now() + make_interval(secs => %(lease)s)
    WHERE id = (SELECT id FROM batchord.alerts WHERE closed_at IS NULL AND due_at <= batchord.now()
                ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, pipeline, run_id::text AS run_id, title, message, attempts - 1 AS attempts,
              ARRAY(SELECT jsonb_object_keys(sent)) AS sent
"""
_SENT = """
    UPDATE batchord.alerts SET sent = sent || jsonb_build_object(%(receiver)s::text, batchord.now())
    WHERE id = %(id)s
"""
_OPEN = """
    INSERT INTO batchord.incidents (pipeline, kind, message) VALUES (%s, %s, %s)
    ON CONFLICT (pipeline, kind) DO NOTHING RETURNING opened_at
"""
_CLOSE = """
    DELETE FROM batchord.incidents WHERE pipeline = %s AND kind = ANY(%s) RETURNING kind, opened_at
"""


def keep_alert(connection: Connection, alert: NewAlert) -> bool:
    """Keeps an alert; False if there already is one for its event."""
    values = {**alert.as_values(), "title": masked_text(alert.title), "message": masked_text(alert.message)}
    return connection.execute(_KEEP, values).rowcount == 1


def open_incident(connection: Connection, pipeline: str, kind: str, message: str) -> datetime | None:
    """Opens an incident and returns when it began; None if it was open already."""
    row = connection.execute(_OPEN, [pipeline, kind, masked_text(message)]).fetchone()
    return None if row is None else row["opened_at"]


def close_incidents(connection: Connection, pipeline: str, kinds: Sequence[str]) -> list[tuple[str, datetime]]:
    """Closes the pipeline's incidents of these kinds. Returns those that were open, and when each began."""
    return [(row["kind"], row["opened_at"]) for row in connection.execute(_CLOSE, [pipeline, list(kinds)])]


class AlertsTable:
    """Alerts: the ledger keeps one for each event and sends it at least once to each receiver."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def keep(self, alert: NewAlert, *, incident: str | None = None) -> bool:
        """Keeps an alert; False if there already is one for its event.

        ``incident``: the incident to open with it, from which the pipeline has to recover.
        """
        with self._connections.transaction() as connection:
            kept = keep_alert(connection, alert)
            # Only for a new alert: an incident that was closed meanwhile must not be opened and reported again.
            if kept and incident is not None:
                open_incident(connection, alert.pipeline, incident, alert.title)
            return kept

    def begin(self, incident: str, alert: NewAlert) -> bool:
        """Opens an incident of the alert's pipeline and keeps the alert; False if the incident was open already.

        The time at which the incident began becomes a part of the alert's event.
        """
        with self._connections.transaction() as connection:
            since = open_incident(connection, alert.pipeline, incident, alert.title)
            return since is not None and keep_alert(connection, _with_beginning(alert, since))

    def recover(self, incident: str, alert: NewAlert) -> bool:
        """Closes an incident and keeps the alert; False if it was not open. Completes the event like :meth:`begin`."""
        with self._connections.transaction() as connection:
            closed = close_incidents(connection, alert.pipeline, [incident])
            return bool(closed) and keep_alert(connection, _with_beginning(alert, closed[0][1]))

    def incidents(self, kind: str) -> dict[str, str]:
        """The messages of the open incidents of a kind, by their pipelines or files."""
        with self._connections.transaction() as connection:
            rows = connection.execute("SELECT pipeline, message FROM batchord.incidents WHERE kind = %s", [kind])
            return {row["pipeline"]: row["message"] for row in rows}

    def any_due(self) -> bool:
        """Whether an alert is due to be sent."""
        with self._connections.transaction() as connection:
            query = "SELECT FROM batchord.alerts WHERE closed_at IS NULL AND due_at <= batchord.now() LIMIT 1"
            return connection.execute(query).fetchone() is not None

    def claim(self, *, lease_seconds: float) -> Alert | None:
        """An alert that is due. For ``lease_seconds`` only this process may send it. None if no alert is due."""
        with self._connections.transaction() as connection:
            row = connection.execute(_CLAIM, {"lease": lease_seconds}).fetchone()
        return None if row is None else Alert(**{**row, "kind": AlertKind(row["kind"]), "sent": frozenset(row["sent"])})

    def renew(self, alert: Alert, *, lease_seconds: float) -> None:
        """Extends the claim of this process to an alert."""
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE batchord.alerts SET due_at = batchord.now() + make_interval(secs => %s) "
                "WHERE id = %s AND closed_at IS NULL",
                [lease_seconds, alert.id],
            )

    def note_sent(self, alert: Alert, receiver: str) -> None:
        """Notes that ``receiver`` has accepted the alert."""
        with self._connections.transaction() as connection:
            connection.execute(_SENT, {"id": alert.id, "receiver": receiver})

    def postpone(self, alert: Alert, *, seconds: float, error: str) -> None:
        """Makes the alert due again after ``seconds``, because not every receiver has accepted it."""
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE batchord.alerts SET due_at = batchord.now() + make_interval(secs => %s), error = %s "
                "WHERE id = %s",
                [seconds, masked_text(error), alert.id],
            )

    def close(self, alert: Alert, *, error: str | None = None) -> None:
        """Ends the alert: every receiver has it, or nobody tries any more and ``error`` says why."""
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE batchord.alerts SET closed_at = batchord.now(), error = %s WHERE id = %s",
                [masked_text(error), alert.id],
            )


def _with_beginning(alert: NewAlert, since: datetime) -> NewAlert:
    return replace(alert, event=f"{alert.event}:{since.isoformat()}")
