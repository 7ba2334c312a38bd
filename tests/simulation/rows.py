"""What changed in the ledger between two lines of a story."""

from typing import Any

import psycopg

#: By kind of row: what names it, and what the story tells of it.
_QUERIES = {
    "run": "SELECT right(id::text, 4) AS name, state, discovered, predicted, rejected FROM batchord.runs",
    "step": "SELECT right(run_id::text, 4) || ' ' || name AS name, state, attempt FROM batchord.steps",
    "shard": """
        SELECT right(run_id::text, 4) || ' ' || step || ' ' || index AS name, state, attempt, losses, predicted,
               rejected, worker, left(lease_token::text, 4) AS token
        FROM batchord.shards
    """,
    "prediction of": """
        SELECT pipeline || ' ' || record_key AS name, label, right(run_id::text, 4) AS run FROM batchord.predictions
    """,
    "rejection of": """
        SELECT pipeline || ' ' || record_key AS name, reason, right(run_id::text, 4) AS run FROM batchord.rejections
    """,
    "frontier of": "SELECT pipeline AS name, position FROM batchord.frontiers",
    "alert": "SELECT event AS name, attempts, closed_at IS NOT NULL AS closed FROM batchord.alerts",
}


class Rows:
    """Remembers rows and tells how they changed."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def changes(self, connection: "psycopg.Connection[Any]") -> list[str]:
        """What changed since the last call, a line for each row."""
        changes = []
        now: dict[str, dict[str, Any]] = {}
        for kind, query in _QUERIES.items():
            for row in connection.execute(query.encode()):
                now[f"{kind} {row.pop('name')}"] = row
        for name, row in now.items():
            before = self._known.get(name)
            if before is None:
                changes.append(f"{name}: {_told(row)}")
            elif before != row:
                changed = {column: value for column, value in row.items() if before[column] != value}
                changes.append(f"{name}: {_told(changed)}")
        changes += [f"{name}: gone" for name in self._known if name not in now]
        self._known = now
        return changes


def _told(row: dict[str, Any]) -> str:
    return ", ".join(f"{column} {value}" for column, value in row.items() if value not in (None, 0))
