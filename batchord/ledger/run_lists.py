"""Reads lists of runs: a bounded number of rows, by index, however many runs there are."""

from collections.abc import Sequence
from typing import Any

from batchord.core.run.run_lists import RunFilter, RunPlace
from batchord.core.run.runs import Run
from batchord.ledger.connection import Connections
from batchord.ledger.rows import RUN_COLUMNS, run_from

_CONDITIONS = {
    "pipeline": "pipeline = %(pipeline)s",
    "state": "state = %(state)s",
    "trigger": "trigger = %(trigger)s",
    "start": "created_at >= %(start)s",
    "end": "created_at < %(end)s",
}
_BEFORE = "(created_at, id) < (%(before_time)s, %(before_id)s::uuid)"
_ORDER = "ORDER BY created_at DESC, id DESC LIMIT %(limit)s"
_CELLS = """
    SELECT run.* FROM unnest(%(names)s::text[]) AS wanted (name)
    CROSS JOIN LATERAL (
        SELECT id::text AS id, pipeline, state, trigger, created_at, started_at, finished_at, predicted, rejected
        FROM batchord.runs WHERE {conditions} ORDER BY created_at DESC, id DESC LIMIT %(limit)s
    ) AS run
    ORDER BY run.created_at, run.id
"""
#: One look into the index for each value, instead of one row for each run.
_VALUES = """
    WITH RECURSIVE found (value) AS (
        (SELECT {column} FROM batchord.runs ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT {column} FROM batchord.runs WHERE {column} > found.value ORDER BY {column} LIMIT 1)
        FROM found WHERE found.value IS NOT NULL
    )
    SELECT value FROM found WHERE value IS NOT NULL LIMIT %(limit)s
"""
#: The most values of a filter that are offered.
_MOST_VALUES = 500


class RunLists:
    """Read-only lists of runs."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def newest(self, wanted: RunFilter, *, limit: int, before: RunPlace | None = None) -> list[Run]:
        """The newest runs, the newest first; with ``before``, those that come after that place in this order."""
        conditions, values = _where(wanted)
        if before is not None:
            conditions.append(_BEFORE)
            values |= {"before_time": before.created_at, "before_id": before.run_id}
        query = f"SELECT {RUN_COLUMNS} FROM batchord.runs WHERE {' AND '.join(conditions)} {_ORDER}"
        return [run_from(row) for row in self._rows(query, {**values, "limit": limit})]

    def newest_of_each(self, wanted: RunFilter, pipelines: Sequence[str], *, each: int) -> list[dict[str, Any]]:
        """Of each pipeline the newest runs, at most ``each``; all of them in the order of time."""
        conditions, values = _where(wanted)
        query = _CELLS.format(conditions=" AND ".join(["pipeline = wanted.name", *conditions]))
        return self._rows(query, {**values, "names": list(pipelines), "limit": each})

    def pipelines(self) -> list[str]:
        """The names of pipelines that have runs."""
        return self._values("pipeline")

    def triggers(self) -> list[str]:
        """The triggers of runs."""
        return self._values("trigger")

    def _values(self, column: str) -> list[str]:
        return [row["value"] for row in self._rows(_VALUES.format(column=column), {"limit": _MOST_VALUES})]

    def _rows(self, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            return connection.execute(query, values).fetchall()


def _where(wanted: RunFilter) -> tuple[list[str], dict[str, Any]]:
    """The conditions that are set, and their values. Without them, the planner would not choose an index for each."""
    values = {name: value for name in _CONDITIONS if (value := getattr(wanted, name)) is not None}
    return [_CONDITIONS[name] for name in values] or ["true"], values
