"""Messages to people, kept once for each event, and what is wrong at the moment."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from batchord.core.run.alerts import Alert, AlertKind, NewAlert
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.told import told

_KEEP = """
    INSERT INTO batchord.alerts (event, kind, pipeline, run_id, title, message)
    VALUES (%(event)s, %(kind)s, %(pipeline)s, %(run_id)s, %(title)s, %(message)s)
    ON CONFLICT (event) DO NOTHING
"""
_CLAIM = """
    UPDATE batchord.alerts SET
        attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => %(lease)s)
    WHERE id = (SELECT id FROM batchord.alerts WHERE closed_at IS NULL AND due_at <= clock_timestamp()
                ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, pipeline, title, message, attempts - 1 AS attempts,
              ARRAY(SELECT jsonb_object_keys(sent)) AS sent
"""
_SENT = """
    UPDATE batchord.alerts SET sent = sent || jsonb_build_object(%(receiver)s::text, clock_timestamp())
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
    """Keeps a message, unless its event is known already."""
    values = {**alert.as_values(), "title": told(alert.title), "message": told(alert.message)}
    return connection.execute(_KEEP, values).rowcount == 1


def open_incident(connection: Connection, pipeline: str, kind: str, message: str) -> datetime | None:
    """Notes that something is wrong; None when that was known."""
    row = connection.execute(_OPEN, [pipeline, kind, told(message)]).fetchone()
    return None if row is None else row["opened_at"]


def close_incidents(connection: Connection, pipeline: str, kinds: Sequence[str]) -> list[tuple[str, datetime]]:
    """Notes that these are over; those that were open, with their beginnings."""
    return [(row["kind"], row["opened_at"]) for row in connection.execute(_CLOSE, [pipeline, list(kinds)])]


class AlertsTable:
    """Messages to people: kept once for each event, sent at least once to each receiver."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def keep(self, alert: NewAlert, *, incident: str | None = None) -> bool:
        """Keeps a message, once for each event; False when the event was known.

        ``incident``: what the pipeline has to recover from; noted with it.
        """
        with self._connections.transaction() as connection:
            kept = keep_alert(connection, alert)
            # Only then: what has recovered meanwhile must not be opened, and so told of, again.
            if kept and incident is not None:
                open_incident(connection, alert.pipeline, incident, alert.title)
            return kept

    def begin(self, incident: str, alert: NewAlert) -> bool:
        """Notes that something is wrong with the alert's pipeline, and keeps the alert; False when that was known.

        The alert's event is completed with the time at which the incident began.
        """
        with self._connections.transaction() as connection:
            since = open_incident(connection, alert.pipeline, incident, alert.title)
            return since is not None and keep_alert(connection, _of(alert, since))

    def recover(self, incident: str, alert: NewAlert) -> bool:
        """Notes that it is over, and keeps the alert; False when nothing was wrong. The event is completed likewise."""
        with self._connections.transaction() as connection:
            closed = close_incidents(connection, alert.pipeline, [incident])
            return bool(closed) and keep_alert(connection, _of(alert, closed[0][1]))

    def incidents(self, kind: str) -> dict[str, str]:
        """What is wrong at the moment, of that kind: for each pipeline, or file, what it was opened with."""
        with self._connections.transaction() as connection:
            rows = connection.execute("SELECT pipeline, message FROM batchord.incidents WHERE kind = %s", [kind])
            return {row["pipeline"]: row["message"] for row in rows}

    def any_due(self) -> bool:
        """Whether a message waits to be sent."""
        with self._connections.transaction() as connection:
            query = "SELECT FROM batchord.alerts WHERE closed_at IS NULL AND due_at <= clock_timestamp() LIMIT 1"
            return connection.execute(query).fetchone() is not None

    def claim(self, *, lease_seconds: float) -> Alert | None:
        """A message that is due, for this process alone for that time; None when there is none."""
        with self._connections.transaction() as connection:
            row = connection.execute(_CLAIM, {"lease": lease_seconds}).fetchone()
        return None if row is None else Alert(**{**row, "kind": AlertKind(row["kind"]), "sent": frozenset(row["sent"])})

    def renew(self, alert: Alert, *, lease_seconds: float) -> None:
        """Keeps a claimed message for this process."""
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE batchord.alerts SET due_at = clock_timestamp() + make_interval(secs => %s) "
                "WHERE id = %s AND closed_at IS NULL",
                [lease_seconds, alert.id],
            )

    def note_sent(self, alert: Alert, receiver: str) -> None:
        """``receiver`` has taken it."""
        with self._connections.transaction() as connection:
            connection.execute(_SENT, {"id": alert.id, "receiver": receiver})

    def postpone(self, alert: Alert, *, seconds: float, error: str) -> None:
        """Not every receiver took it: it is due again then."""
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE batchord.alerts SET due_at = clock_timestamp() + make_interval(secs => %s), error = %s "
                "WHERE id = %s",
                [seconds, told(error), alert.id],
            )

    def close(self, alert: Alert, *, error: str | None = None) -> None:
        """Every receiver has it; or it is given up, and ``error`` says why."""
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE batchord.alerts SET closed_at = clock_timestamp(), error = %s WHERE id = %s",
                [told(error), alert.id],
            )


def _of(alert: NewAlert, since: datetime) -> NewAlert:
    return replace(alert, event=f"{alert.event}:{since.isoformat()}")
